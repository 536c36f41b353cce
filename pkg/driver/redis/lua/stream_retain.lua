-- Changes how long messages are kept.
--
-- ARGV[4], ARGV[5] the retention's age in nanoseconds and its bytes
call('HSET', KEYS[1], 'a', ARGV[4], 'y', ARGV[5])
age, most = math.ceil(ARGV[4] / 1000000), tonumber(ARGV[5])
for n = 0, partitions - 1 do trim(part(n)) end
finish()
return 1
