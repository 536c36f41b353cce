-- Leases messages.
--
-- ARGV[4] messages at most, ARGV[5] bytes at most (-1: no bound), ARGV[6] 1 if
--         some were taken before, so that one that is too large stays
-- ARGV[7] the lease in milliseconds (0: the queue's), ARGV[8] 1 if who asks waits
-- ARGV[9] bytes that one answer holds about
--
-- The answer: 1 if there may be more within the bounds, in how many
-- milliseconds something becomes due (-1: nothing will), then three for each
-- message: its id, what is known of it, its body.
local limit, room, taken, budget = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[9])
local bounded = room >= 0
local time = tonumber(ARGV[7])
if time == 0 then time = tonumber(meta[5]) end
local ends = after(time)
advance()

-- choose takes what may go, in order, up to what is past its retention: when
-- that is gone, another may be before what comes next. True to choose anew.
local chosen, more = {}, false
local function choose()
  local members, ids = call('ZRANGE', R, 0, limit - 1), {}
  for i, member in ipairs(members) do ids[i] = sub(member, 2) end
  local known = #ids > 0 and call('HMGET', S, unpack(ids))
  for i = 1, #ids do
    local c = parse(ids[i], known[i])
    if stale(c) then
      if i == 1 then expire(c) end
      more = true
      return i == 1
    end
    more = budget <= 0
    if more or (bounded and taken and c.size > room) then return false end
    room, budget, taken = room - c.size, budget - c.size, true
    chosen[i] = c
  end
  more = #ids == limit
  return false
end
local looks = 0
repeat looks = looks + 1 until not choose() or looks == limit

-- lease takes the chosen out of where they stand, and leases them.
local out = { more and 1 or 0, -1 }
local function lease()
  local ids, ranks, known, leased, lines, keys = {}, {}, {}, {}, {}, {}
  for i, c in ipairs(chosen) do
    ids[i], ranks[i] = c.id, rank(c)
    c.state, c.attempts, c.at, c.fence = LEASED, c.attempts + 1, ends, number()
    local n = #known
    known[n + 1], known[n + 2] = c.id, record(c)
    leased[n + 1], leased[n + 2] = 0, due(c)
    if c.key ~= '' then
      lines[#lines + 1] = line(c.key) .. c.id
      keys[#keys + 1], keys[#keys + 2] = c.key, c.id
    end
    tally.d = tally.d + 1
    if c.attempts > 1 then tally.z = tally.z + 1 end
  end
  call('ZREM', R, unpack(ranks))
  call('HSET', S, unpack(known))
  call('ZADD', L, unpack(leased))
  if #lines > 0 then
    call('ZREM', G, unpack(lines))
    call('HSET', H, unpack(keys))
  end
  local bodies = call('HMGET', B, unpack(ids))
  for i = 1, #ids do
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = ids[i], known[2 * i], bodies[i] or ''
  end
end
if #chosen > 0 then lease() end

news = call('EXISTS', R) == 1
if #out == 2 and ARGV[8] == '1' then
  local at = soonest()
  if at then out[2] = math.max(at - ms, 0) end
  if not flag then redis.pcall('HSET', KEYS[1], 'w', 1) end -- else he looks now and then
end
finish()
return out
