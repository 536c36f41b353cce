-- Ends keys that the server has dropped, forgets old receipts and changes, and
-- says when there is more to do: 1 if that is now.
--
-- ARGV[5] how long changes are kept, in microseconds
local most = 500
local over = call('ZRANGEBYSCORE', E, '-inf', text(ms), 'LIMIT', 0, most)
local lapsed = 0
for _, key in ipairs(over) do
  -- The server's expiry and this clock may be a moment apart. Of a slot that is
  -- moving to another node it cannot be told: later, then.
  local there = redis.pcall('EXISTS', P .. 'k' .. key)
  if type(there) == 'table' then break end
  if there == 0 then
    lapse(key)
    lapsed = lapsed + 1
  end
end
local forgot, receipts = 0, 0
for order, of in pairs({ [O] = R, [P .. 'q'] = P .. 's' }) do
  local old = call('ZRANGEBYSCORE', order, '-inf', text(us), 'LIMIT', 0, most)
  for _, id in ipairs(old) do
    call('ZREM', order, id)
    call('HDEL', of, id)
  end
  forgot = math.max(forgot, #old)
  receipts = receipts + call('ZCARD', order)
end
call('XTRIM', C, 'MINID', '~', text(math.max(us - ARGV[5], 0)) .. '-0')
due, tidy = nil, false
finish()

local more = lapsed == most or forgot == most
local first = call('ZRANGE', E, 0, 0, 'WITHSCORES')
local at
if more then
  at = ms
elseif first[2] then
  at = math.max(tonumber(first[2]), ms)
end
if call('XLEN', C) > 0 or receipts > 0 then
  at = math.min(at or ms + 60000, ms + 60000)
  if not meta[4] then call('HSET', KEYS[1], 't', 1) end
elseif meta[4] then
  call('HDEL', KEYS[1], 't')
end
if at then
  call('ZADD', KEYS[2], text(at), P)
else
  call('ZREM', KEYS[2], P)
end
return more and 1 or 0
