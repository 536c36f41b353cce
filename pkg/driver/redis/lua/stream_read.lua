-- Reads messages.
--
-- ARGV[4] the partition, ARGV[5] the first offset, ARGV[6] messages at most
-- ARGV[7] bytes at most (-1: no bound), ARGV[8] 1 if some were read before, so
--         that one that is too large stays
-- ARGV[9] 1 if who asks waits, ARGV[10] bytes that one answer holds about
--
-- The answer: R, 1 if there may be more within the bounds, then two for each
-- message: its head and its body. P without such a partition, B beyond the
-- latest offset, C and the earliest below that, X where something is missing.
local n, at, limit, room, budget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[10])
local bounded, taken = room >= 0, ARGV[8] == '1'
if not has(n) then return { 'P' } end
local p = part(n)
trim(p)
finish()
if at < p.first then return { 'C', text(p.first) } end
if at > p.next then return { 'B' } end

-- fetch reads some entries, about as many as fit.
local function fetch()
  local size = (p.sum - p.before) / (p.next - p.first)
  local fit = bounded and math.min(room, budget) or budget
  local count = math.min(limit, 64)
  if size > 0 then count = math.max(1, math.min(count, math.floor(fit / size))) end
  return call('XRANGE', p.stream, id(at), '+', 'COUNT', count)
end

local out, full = { 'R', 0 }, false
while not full and limit > 0 and at < p.next do
  local entries = fetch()
  if #entries == 0 then return { 'X' } end
  for _, entry in ipairs(entries) do
    local head, body = entry[2][2], entry[2][4]
    local size = unpack_('>I4', head, 17)
    if bounded and taken and size > room then
      full = true
      break
    end
    at, limit, room, budget, taken = at + 1, limit - 1, room - size, budget - size, true
    out[#out + 1], out[#out + 2] = head, body
    if budget <= 0 then break end
  end
  if budget <= 0 then break end
end
if not full and at < p.next then out[2] = 1 end
if #out == 2 and ARGV[9] == '1' then redis.pcall('HSET', KEYS[1], 'w' .. p.n, 1) end -- else he looks now and then
return out
