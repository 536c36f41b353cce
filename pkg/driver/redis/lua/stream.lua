-- What every script of a topic shares. A script runs alone, so what it reads,
-- checks and writes is one step.
--
-- KEYS[1] the topic's meta: p how many partitions, a and y the retention's age
--         in nanoseconds and bytes, n messages, b bytes, t whose turn it is of
--         the partitions; of each partition p<n> what it holds, and w<n> while
--         someone waits for news of it
-- ARGV[1] what the topic's keys begin with
-- ARGV[2] what the channels begin with on which readers wait; the partition follows
-- ARGV[3] receipts to keep
--
-- s<n> a partition: a stream whose ids are <offset>-1. An entry's h is its time,
-- the bytes of the partition up to it and its own; b is its body.
-- n the groups; g<group> the next offset to read, by partition
local P = ARGV[1]
local call, pack, unpack_, sub = redis.call, struct.pack, struct.unpack, string.sub

-- Numbers are doubles: exact up to 2^53.
local function text(n) return string.format('%.0f', n) end

local meta = call('HMGET', KEYS[1], 'p', 'a', 'y')
if not meta[1] then return false end -- there is no such topic
local clock = call('TIME')
local us = clock[1] * 1000000 + clock[2]
local ms = math.floor(us / 1000)
local partitions, age, most = tonumber(meta[1]), math.ceil(meta[2] / 1000000), tonumber(meta[3])
local messages, bytes = 0, 0 -- more than there were

local function id(offset) return text(offset) .. '-1' end

-- part is what a partition holds: offsets from first up to, not including, next;
-- bytes ever, those of them before first, and the times of the last and the first.
local known = {}
local function part(n)
  local p = known[n]
  if not p then
    p = { n = text(n), first = 0, next = 0, sum = 0, before = 0, last = 0, born = 0 }
    p.stream = P .. 's' .. p.n
    local raw = call('HGET', KEYS[1], 'p' .. p.n)
    if raw then p.first, p.next, p.sum, p.before, p.last, p.born = unpack_('>I8I8I8I8I8I8', raw) end
    known[n] = p
  end
  return p
end

-- has reports whether the topic has a partition.
local function has(n) return n >= 0 and n < partitions end

-- look reads when a message was appended, and the bytes before it.
local function look(p, offset)
  local time, sum, size = unpack_('>I8I8I4', call('XRANGE', p.stream, id(offset), id(offset))[1][2][2])
  return time, sum - size
end

-- over reports whether the retention no longer covers a message.
local function over(p, time, before)
  return (age > 0 and time <= ms - age) or (most > 0 and p.sum - before > most)
end

-- cut forgets what is below an offset.
local function cut(p, to)
  if to <= p.first then return end
  local before, born = p.sum, p.born
  if to == p.next then
    call('UNLINK', p.stream)
  else
    born, before = look(p, to)
    call('XTRIM', p.stream, 'MINID', id(to))
  end
  messages, bytes = messages - (to - p.first), bytes - (before - p.before)
  p.first, p.before, p.born, p.changed = to, before, born, true
end

-- overdue reports whether there is something for trim to do.
local function overdue(p) return p.first < p.next and over(p, p.born, p.before) end

-- trim forgets what the retention no longer covers, up to a bound.
local function trim(p)
  if not overdue(p) then return end
  -- Usually it is the first, or a few: steps that double find about where, then
  -- halves find the place.
  local low, high, step = p.first, math.min(p.next, p.first + 10000), 1
  while low + step < high do
    if over(p, look(p, low + step)) then
      low = low + step
      step = step * 2
    else
      high = low + step
    end
  end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if over(p, look(p, middle)) then low = middle else high = middle end
  end
  cut(p, high)
end

-- finish writes down what has changed. A server without memory refuses only
-- what comes before a script's first write: then nothing has.
local function finish()
  for _, p in pairs(known) do
    if p.changed then
      call('HSET', KEYS[1], 'p' .. p.n, pack('>I8I8I8I8I8I8', p.first, p.next, p.sum, p.before, p.last, p.born))
    end
  end
  if messages ~= 0 then call('HINCRBY', KEYS[1], 'n', messages) end
  if bytes ~= 0 then call('HINCRBY', KEYS[1], 'b', bytes) end
end
