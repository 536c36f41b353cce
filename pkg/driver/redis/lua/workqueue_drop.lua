-- Removes a queue, and tells the last number that it used up.
--
-- KEYS[1] the queue's meta; ARGV[1] what its keys begin with, ARGV[2] the channel
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return false end
redis.call('UNLINK', KEYS[1])
for letter in string.gmatch('sbrwdlxghio', '.') do redis.call('UNLINK', ARGV[1] .. letter) end
redis.call('PUBLISH', ARGV[2], '')
return v
