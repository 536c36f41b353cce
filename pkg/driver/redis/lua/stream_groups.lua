-- Lists the groups, or what one has committed: partitions and offsets.
--
-- ARGV[4] 1 for one group, ARGV[5] which
if ARGV[4] == '0' then return call('SMEMBERS', P .. 'n') end
local out = {}
for _, v in ipairs(call('HGETALL', P .. 'g' .. ARGV[5])) do out[#out + 1] = v end
return out
