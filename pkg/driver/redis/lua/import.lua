-- Stores entries and receipts as another store had them: none gets a version of
-- its own, and none leaves a change.
--
-- ARGV[5] the version up to which all are used up
-- ARGV[6] how many receipts; two follow for each: its id and what is kept
-- then three for each entry: key, version and expiry and time to live, value
v = math.max(v, tonumber(ARGV[5]))
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  local id, raw = ARGV[at], ARGV[at + 1]
  call('HSET', R, id, raw)
  call('ZADD', O, text(unpack_('>I8', raw, 17)), id)
  tidy = true
  at = at + 2
end
local over = call('ZCARD', O) - tonumber(ARGV[4])
if over > 0 then
  local out = call('ZPOPMIN', O, math.min(over, 1000))
  for i = 1, #out, 2 do call('HDEL', R, out[i]) end
end

local err
for i = at, #ARGV, 3 do
  local key, value = ARGV[i], ARGV[i + 2]
  local version, expires, ttl = unpack_('>I8I8I8', ARGV[i + 1])
  local c, bad = load(key)
  err = bad or store(key, version, value, expires, ttl)
  if err then break end
  if c then
    bytes = bytes + #value - c.size
  else
    call('ZADD', I, 0, key)
    bytes = bytes + #key + #value
  end
  index(key, c, expires, version, #value)
end
finish()
return err and (#err == 1 and 'E' .. err or 'ER' .. err) or 'R'
