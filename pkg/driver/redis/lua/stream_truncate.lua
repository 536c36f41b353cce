-- Removes what is below an offset: 1, or -1 without such a partition and -2 if
-- the offset is beyond the latest.
--
-- ARGV[4] the partition, ARGV[5] the offset
local n, to = tonumber(ARGV[4]), tonumber(ARGV[5])
if not has(n) then return -1 end
local p = part(n)
if to > p.next then return -2 end
cut(p, to)
finish()
return 1
