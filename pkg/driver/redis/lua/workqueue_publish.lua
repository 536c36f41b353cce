-- Publishes messages, each with an answer of its own: R or P and its id, or an
-- error.
--
-- ARGV[4…] three for each: priority, size, delay and the receipt; the key; the body
local function publish(what, key, body)
  local priority, size, delay = unpack_('>BI4I8', what)
  local receipt = #what > 13
  local id, sum = sub(what, 14, 29), sub(what, 30, 45)
  if receipt then
    local first = replay(id, sum)
    if first then return first end
  end
  local c = {
    id = pack('>I8', number()), priority = priority, attempts = 0, size = size,
    published = ms, born = ms, key = key, reason = '',
  }
  call('HSET', B, c.id, body)
  if delay > 0 then
    c.born = after(delay)
    make_later(c, c.born)
  else
    make_ready(c)
  end
  bytes, tally.n = bytes + size, tally.n + 1
  if receipt then
    local time, most = unpack_('>I8I8', what, 46)
    keep(id, sum, time, most, c.id)
  end
  return 'R' .. c.id
end

local out = {}
for i = 4, #ARGV, 3 do
  out[#out + 1] = publish(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
finish()
return out
