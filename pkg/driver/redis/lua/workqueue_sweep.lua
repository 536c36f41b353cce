-- Does what time has brought where nobody looks, and says in how many
-- milliseconds to come again.
local more = advance()
local old = call('ZRANGEBYSCORE', P .. 'o', '-inf', us, 'LIMIT', 0, 500)
for _, id in ipairs(old) do
  call('ZREM', P .. 'o', id)
  call('HDEL', P .. 'i', id)
end
finish()
if more or #old == 500 then return 0 end
if call('EXISTS', S, P .. 'o') == 0 then return 600000 end
return retention > 0 and math.max(1000, math.min(60000, look - ms)) or 60000
