-- What every script of a work queue shares. A script runs alone, so what it
-- reads, checks and writes is one step.
--
-- KEYS[1] the queue's meta: v the last number used up, b bytes, e when to look
--         for what is past its retention, w set while someone waits for news,
--         the settings l (lease), x (attempts), r (retention), and the counts n
--         (published), d (delivered), z (again), a (acknowledged)
-- ARGV[1] what the queue's keys begin with
-- ARGV[2] the channel on which receivers wait
-- ARGV[3] receipts to keep
--
-- s what the queue knows of a message, by id; b what it does not: its body
-- r ready messages that may go, w those that wait behind one of their key,
-- both by priority and age; d delayed ones and l leased ones by their time; x
-- dead letters by age. All are sorted sets of one score, in the order of bytes.
-- g the messages of keys that are ready or delayed, by key and age; h the
-- leased message of a key.
local P = ARGV[1]
local call, pack, unpack_, sub = redis.call, struct.pack, struct.unpack, string.sub
local S, B, R, W, D, L, X, G, H = P .. 's', P .. 'b', P .. 'r', P .. 'w', P .. 'd', P .. 'l', P .. 'x', P .. 'g', P .. 'h'
local READY, LATER, LEASED, DEAD = 1, 2, 3, 4

-- Numbers are doubles: exact up to 2^53, which microseconds reach in 2255.
local meta = call('HMGET', KEYS[1], 'v', 'b', 'e', 'w', 'l', 'x', 'r')
if not meta[5] then return false end -- there is no such queue
local clock = call('TIME')
local us = clock[1] * 1000000 + clock[2]
local ms = math.floor(us / 1000)
local v, bytes, look, flag = tonumber(meta[1]), tonumber(meta[2]), tonumber(meta[3]), meta[4]
local v0, bytes0, look0 = v, bytes, look
local attempts_max, retention = tonumber(meta[6]), tonumber(meta[7])
local tally = { n = 0, d = 0, z = 0, a = 0 }
local news = false

-- number uses up one: of a message, or of a lease.
local function number()
  v = math.max(v + 1, us)
  return v
end

-- after is the time that comes so many milliseconds later: rounded up, so that
-- nothing ends early.
local function after(time) return math.ceil(us / 1000) + time end

local HEAD = '>BBI4I4I8I8I8I8I4'

local function parse(id, raw)
  local c = { id = id }
  local n
  c.state, c.priority, c.attempts, c.size, c.published, c.born, c.at, c.fence, n = unpack_(HEAD, raw)
  c.key, c.reason = sub(raw, 47, 46 + n), sub(raw, 47 + n)
  return c
end

local function load(id)
  local raw = call('HGET', S, id)
  return raw and parse(id, raw)
end

local function record(c)
  return pack(HEAD, c.state, c.priority, c.attempts, c.size, c.published, c.born, c.at, c.fence, #c.key) .. c.key .. c.reason
end

local function save(c) call('HSET', S, c.id, record(c)) end

-- Where a message stands in r and w, in d and l, and in g.
local function rank(c) return string.char(9 - c.priority) .. c.id end
local function due(c) return pack('>I8', c.at) .. c.id end
local function line(key) return pack('>I4', #key) .. key end

-- head is the first member of a sorted set whose members begin with these bytes.
local function head(set, prefix)
  return call('ZRANGEBYLEX', set, '[' .. prefix, '[' .. prefix .. '\255', 'LIMIT', 0, 1)[1]
end

-- front is the first of a key that is ready or delayed.
local function front(key)
  local member = head(G, line(key))
  return member and load(sub(member, -8))
end

-- offers notes that a ready message may go; offer lets it.
local function offers(c)
  if retention > 0 then look = math.min(look, c.born + retention) end
  news = true
end

local function offer(c)
  call('ZADD', R, 0, rank(c))
  offers(c)
end

-- promote lets the first of a key go, unless one is leased.
local function promote(key)
  if key == '' or call('HEXISTS', H, key) == 1 then return end
  local c = front(key)
  if c and c.state == READY and call('ZREM', W, rank(c)) == 1 then offer(c) end
end

-- queue_up puts a message into the line of its key, which it may lead.
local function queue_up(c)
  local first = front(c.key)
  if first and unpack_('>I8', c.id) < unpack_('>I8', first.id) and call('ZREM', R, rank(first)) == 1 then
    call('ZADD', W, 0, rank(first))
  end
  call('ZADD', G, 0, line(c.key) .. c.id)
end

-- stand puts a message into its place that stands nowhere: ready or delayed.
local function stand(c)
  if c.key == '' and c.state == READY then return offer(c) end
  if c.key ~= '' then queue_up(c) end
  if c.state == READY then
    call('ZADD', W, 0, rank(c))
  else
    call('ZADD', D, 0, due(c))
    if call('ZRANGE', D, 0, 0)[1] == due(c) then news = true end -- who waits must look sooner
  end
  promote(c.key)
end

local function make_ready(c)
  c.state, c.at, c.fence = READY, 0, 0
  save(c)
  stand(c)
end

local function make_later(c, at)
  c.state, c.at, c.fence = LATER, at, 0
  save(c)
  stand(c)
end

local function make_dead(c, reason)
  c.state, c.at, c.fence, c.reason = DEAD, 0, 0, reason
  save(c)
  call('ZADD', X, 0, c.id)
  promote(c.key)
end

-- unlease takes a message out of its lease, and leaves its key without one.
local function unlease(c)
  call('ZREM', L, due(c))
  if c.key ~= '' then call('HDEL', H, c.key) end
end

-- forget ends a message that stands nowhere.
local function forget(c)
  call('HDEL', S, c.id)
  call('HDEL', B, c.id)
  bytes = bytes - c.size
end

local function last(c) return attempts_max > 0 and c.attempts >= attempts_max end

-- finish writes down what the script has used up, and wakes who waits. A server
-- without memory refuses only what comes before a script's first write: then
-- nothing was used up.
local function finish()
  if v ~= v0 or bytes ~= bytes0 or look ~= look0 then
    redis.pcall('HSET', KEYS[1], 'v', v, 'b', bytes, 'e', look)
  end
  for field, n in pairs(tally) do
    if n > 0 then call('HINCRBY', KEYS[1], field, n) end
  end
  if news and flag then
    call('HDEL', KEYS[1], 'w')
    call('PUBLISH', ARGV[2], '')
  end
end
