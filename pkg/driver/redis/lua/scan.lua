-- A page of a scan, at one moment.
--
-- KEYS[1] the index of keys
-- ARGV    what the namespace's keys begin with, lower and upper bound, 1 for
--         backwards, entries and bytes at most, 1 for keys only
--
-- The answer: the last key looked at if there is more, then three for each
-- entry: its key, its record or the head of it, its size in all.
local P, lo, hi, back, limit, most, only = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local keys
if back then
  keys = redis.call('ZREVRANGEBYLEX', KEYS[1], hi, lo, 'LIMIT', 0, limit + 1)
else
  keys = redis.call('ZRANGEBYLEX', KEYS[1], lo, hi, 'LIMIT', 0, limit + 1)
end
local out, bytes = { false }, 0
for i, key in ipairs(keys) do
  if i > limit then
    out[1] = keys[limit]
    break
  end
  local name = P .. 'k' .. key
  local raw = redis.call('GETRANGE', name, 0, 31)
  if raw ~= '' then -- else it has expired, and is not swept yet
    local n = redis.call('STRLEN', name)
    local size = #key
    if not only then size = size + n - (string.byte(raw, 2) == 1 and 32 or 16) end
    if #out > 1 and bytes + size > most then
      out[1] = keys[i - 1]
      break
    end
    bytes = bytes + size
    out[#out + 1] = key
    out[#out + 1] = only and raw or redis.call('GET', name)
    out[#out + 1] = n
  end
end
return out
