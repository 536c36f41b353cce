-- Sets offsets of a group, all or none: 1, or -1 if a partition is not there
-- and -2 if an offset is none of it.
--
-- ARGV[4] the group, ARGV[5…] two for each: partition and offset
for i = 5, #ARGV, 2 do
  local n, offset = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if not has(n) then return -1 end
  if offset < 0 or offset > part(n).next then return -2 end
end
call('SADD', P .. 'n', ARGV[4])
for i = 5, #ARGV, 2 do call('HSET', P .. 'g' .. ARGV[4], ARGV[i], ARGV[i + 1]) end
return 1
