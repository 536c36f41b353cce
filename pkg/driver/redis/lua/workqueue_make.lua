-- Makes a queue: 1 if it was not there, 0 if it was with these settings, 2 with
-- others.
--
-- KEYS[1] the queue's meta
-- ARGV    the settings as one; lease, attempts, retention; a number that is used up
local have = redis.call('HGET', KEYS[1], 'c')
if have then return have == ARGV[1] and 0 or 2 end
local clock = redis.call('TIME')
local us = clock[1] * 1000000 + clock[2]
redis.call('HSET', KEYS[1], 'c', ARGV[1], 'l', ARGV[2], 'x', ARGV[3], 'r', ARGV[4],
  'v', string.format('%.0f', math.max(us, ARGV[5])), 'b', 0, 'e', 0)
return 1
