-- Does what time has brought where nobody looks, and says in how many
-- milliseconds to come again: 0 if there is more to do now.
local wait = 600000
for n = 0, partitions - 1 do
  local p = part(n)
  trim(p)
  if overdue(p) then
    wait = 0
  elseif age > 0 then
    wait = math.min(wait, math.max(1000, (p.first < p.next and p.born + age - ms or age)))
  end
end
finish()
local old = call('ZRANGEBYSCORE', P .. 'o', '-inf', text(us), 'LIMIT', 0, 500)
for _, receipt in ipairs(old) do
  call('ZREM', P .. 'o', receipt)
  call('HDEL', P .. 'i', receipt)
end
if #old == 500 then return 0 end
if call('EXISTS', P .. 'o') == 1 then wait = math.min(wait, 60000) end
return wait
