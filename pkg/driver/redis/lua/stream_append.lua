-- Appends messages, each with an answer of its own: R or P, partition, offset
-- and time, or an error.
--
-- ARGV[4] the partition, or nothing where keys choose
-- ARGV[5…] two for each: the key's hash (nothing of it: no key), the payload's
--          size and the receipt; the body
local named = tonumber(ARGV[4])
if named and not has(named) then
  local out = { 'EP' }
  for i = 7, #ARGV, 2 do out[#out + 1] = 'EP' end
  return out
end

local replay, keep = ledger(P .. 'i', P .. 'o', us, tonumber(ARGV[3]))

-- choose is the partition of a key's hash, of 64 bits, or the next in turn.
local turn
local function choose(hash, keyed)
  if named then return named end
  if not keyed then
    turn = ((turn or tonumber(call('HGET', KEYS[1], 't') or 0)) + 1) % partitions
    return turn
  end
  local n = 0
  for i = 1, 8 do n = (n * 256 + string.byte(hash, i)) % partitions end
  return n
end

local function append(what, body)
  local keyed, size = unpack_('>B', what) == 1, unpack_('>I4', what, 10)
  local receipt, sum = sub(what, 14, 29), sub(what, 30, 45)
  if receipt ~= '' then
    local first = replay(receipt, sum)
    if first then return first end
  end
  local n = choose(sub(what, 2, 9), keyed)
  local p = part(n)
  local offset = p.next
  p.last = math.max(p.last, ms)
  p.sum = p.sum + size
  call('XADD', p.stream, id(offset), 'h', pack('>I8I8I4', p.last, p.sum, size), 'b', body)
  if p.first == p.next then p.born = p.last end
  p.next, p.changed, p.news = offset + 1, true, true
  messages, bytes = messages + 1, bytes + size
  trim(p)
  local answer = pack('>I4I8I8', n, offset, p.last)
  if receipt ~= '' then
    local time, limit = unpack_('>I8I8', what, 46)
    keep(receipt, sum, time, limit, answer)
  end
  return 'R' .. answer
end

local out = {}
for i = 5, #ARGV, 2 do
  out[#out + 1] = append(ARGV[i], ARGV[i + 1])
end
finish()
if turn then call('HSET', KEYS[1], 't', turn) end
for _, p in pairs(known) do
  if p.news and call('HDEL', KEYS[1], 'w' .. p.n) == 1 then call('PUBLISH', ARGV[2] .. p.n, '') end
end
return out
