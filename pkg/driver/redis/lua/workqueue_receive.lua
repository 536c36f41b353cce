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

local out, looked = { 0, -1 }, 0
while true do
  if looked == limit or budget <= 0 then
    out[1] = 1
    break
  end
  local member = call('ZRANGE', R, 0, 0)[1]
  if not member then break end
  looked = looked + 1
  local c = load(sub(member, 2))
  if stale(c) then
    expire(c)
  else
    if bounded and taken and c.size > room then break end
    room, budget, taken = room - c.size, budget - c.size, true
    draw(c)
    if c.key ~= '' then call('HSET', H, c.key, c.id) end
    c.state, c.attempts, c.at, c.fence = LEASED, c.attempts + 1, ends, number()
    save(c)
    call('ZADD', L, 0, due(c))
    tally.d = tally.d + 1
    if c.attempts > 1 then tally.z = tally.z + 1 end
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = c.id, c.raw, call('HGET', B, c.id)
  end
end

news = call('EXISTS', R) == 1
if #out == 2 and ARGV[8] == '1' then
  local at = soonest()
  if at then out[2] = math.max(at - ms, 0) end
  if not flag then redis.pcall('HSET', KEYS[1], 'w', 1) end -- else he looks now and then
end
finish()
return out
