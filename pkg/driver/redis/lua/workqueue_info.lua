-- Tells what a queue holds. The answer: 1 if there is more to do before it can
-- be told; counts of ready messages by priority, delayed, leased, dead; bytes;
-- when the next delayed one is due and when the oldest was published, 0 for
-- none; the settings; the counts since the queue was made.
--
-- ARGV[4] how many leases to look through for the oldest
local again = advance()
finish()
if again then return { 1 } end

local oldest
local function older(id)
  if not oldest or unpack_('>I8', id) < unpack_('>I8', oldest) then oldest = id end
end

local out = { 0 }
for p = 9, 0, -1 do
  local n, prefix = 0, string.char(p)
  for _, set in ipairs({ R, W }) do
    n = n + call('ZLEXCOUNT', set, '[' .. prefix, '[' .. prefix .. '\255')
    local member = head(set, prefix)
    if member then older(sub(member, 2)) end
  end
  out[#out + 1] = n
end
for _, member in ipairs(call('ZRANGE', L, 0, ARGV[4] - 1)) do older(sub(member, 9)) end
for _, set in ipairs({ D, L, X }) do out[#out + 1] = call('ZCARD', set) end
out[#out + 1] = bytes
local next_ = call('ZRANGE', D, 0, 0)[1]
out[#out + 1] = next_ and unpack_('>I8', next_) or 0
out[#out + 1] = oldest and load(oldest).published or 0
for _, field in ipairs(call('HMGET', KEYS[1], 'c', 'n', 'd', 'z', 'a')) do out[#out + 1] = field or '0' end
return out
