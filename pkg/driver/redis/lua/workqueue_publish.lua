-- Publishes messages, each with an answer of its own: R or P and its id, or an
-- error. What can be is done for all of them at once.
--
-- ARGV[4…] three for each: priority, size, delay and the receipt; the key; the body
local replay, keep = ledger(P .. 'i', P .. 'o', us, tonumber(ARGV[3]))
local out, fresh, bodies, known = {}, {}, {}, {}

local function take(what, key, body)
  local priority, size, delay = unpack_('>BI4I8', what)
  local receipt, sum = sub(what, 14, 29), sub(what, 30, 45)
  local first = receipt ~= '' and replay(receipt, sum)
  if first then return first end
  local c = {
    id = pack('>I8', number()), state = READY, priority = priority, attempts = 0, size = size,
    published = ms, born = ms, at = 0, fence = 0, key = key, reason = '',
  }
  if delay > 0 then
    c.state, c.born = LATER, after(delay)
    c.at = c.born
  end
  if receipt ~= '' then
    local time, most = unpack_('>I8I8', what, 46)
    keep(receipt, sum, time, most, c.id)
  end
  local n = #bodies
  fresh[#fresh + 1] = c
  bodies[n + 1], bodies[n + 2] = c.id, body
  known[n + 1], known[n + 2] = c.id, record(c)
  bytes, tally.n = bytes + size, tally.n + 1
  return 'R' .. c.id
end

for i = 4, #ARGV, 3 do
  out[#out + 1] = take(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
if #fresh > 0 then
  call('HSET', B, unpack(bodies))
  call('HSET', S, unpack(known))
end
local ready = {}
for _, c in ipairs(fresh) do
  if c.key == '' and c.state == READY then
    local n = #ready
    ready[n + 1], ready[n + 2] = 0, rank(c)
    offers(c)
  else
    stand(c)
  end
end
if #ready > 0 then call('ZADD', R, unpack(ready)) end
finish()
return out
