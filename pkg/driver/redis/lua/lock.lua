-- Locks on missing entries of a cache.
--
-- KEYS[1] the entry, KEYS[2] the lock
-- ARGV    what to do: lock, fill or unlock; the owner; how long; the record
local owner, time = ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local at = string.format('%.0f', math.min(math.ceil((clock[1] * 1000000 + clock[2]) / 1000) + time, 9223372036854))

if ARGV[1] == 'lock' then
  local entry = redis.call('GET', KEYS[1])
  if entry then return { 'found', entry } end
  local has = redis.call('GET', KEYS[2])
  if has and has ~= owner then return { 'other', redis.call('PEXPIRETIME', KEYS[2]) } end
  redis.call('SET', KEYS[2], owner, 'PXAT', at)
  return { 'locked', tonumber(at) }
end

if redis.call('GET', KEYS[2]) ~= owner then return { 'lost', 0 } end
if ARGV[1] == 'fill' then
  -- The head of a record is 16 bytes; its end is the last eight of them.
  if time > 0 then
    redis.call('SET', KEYS[1], struct.pack('>BBI2I4I8', 1, 0, 0, 0, tonumber(at)) .. ARGV[4], 'PXAT', string.format('%.0f', tonumber(at) - 1))
  else
    redis.call('SET', KEYS[1], struct.pack('>BBI2I4I8', 1, 0, 0, 0, 0) .. ARGV[4])
  end
end
redis.call('UNLINK', KEYS[2])
return { 'done', 0 }
