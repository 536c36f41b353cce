-- Finds the first message that was appended at or after a time: its offset, or
-- -1 without such a partition.
--
-- ARGV[4] the partition, ARGV[5] the time in milliseconds
local n, time = tonumber(ARGV[4]), tonumber(ARGV[5])
if not has(n) then return -1 end
local p = part(n)
trim(p)
finish()
local low, high = p.first, p.next
while low < high do
  local middle = math.floor((low + high) / 2)
  if look(p, middle) < time then low = middle + 1 else high = middle end
end
return low
