-- Makes a topic: 1 if it was not there, 0 if it was with these settings, 2 with
-- others.
--
-- KEYS[1] the topic's meta
-- ARGV    partitions, the retention's age in nanoseconds and its bytes
local have = redis.call('HMGET', KEYS[1], 'p', 'a', 'y')
if have[1] then
  return (have[1] == ARGV[1] and have[2] == ARGV[2] and have[3] == ARGV[3]) and 0 or 2
end
redis.call('HSET', KEYS[1], 'p', ARGV[1], 'a', ARGV[2], 'y', ARGV[3], 'n', 0, 'b', 0)
return 1
