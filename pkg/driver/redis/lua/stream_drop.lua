-- Removes a topic; it used up no number that must not come again.
--
-- KEYS[1] the topic's meta; ARGV[1] what its keys begin with, ARGV[2] its channels
local P = ARGV[1]
local partitions = tonumber(redis.call('HGET', KEYS[1], 'p'))
if not partitions then return false end
redis.call('UNLINK', KEYS[1], P .. 'i', P .. 'o')
for _, group in ipairs(redis.call('SMEMBERS', P .. 'n')) do redis.call('UNLINK', P .. 'g' .. group) end
redis.call('UNLINK', P .. 'n')
for n = 0, partitions - 1 do
  redis.call('UNLINK', P .. 's' .. n)
  redis.call('PUBLISH', ARGV[2] .. n, '')
end
return 0
