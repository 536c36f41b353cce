-- Uses up a version when a namespace is dropped: a position from before is then
-- older than whatever comes, and no version comes again. ARGV[3] is the last
-- number that a queue of the namespace has used up.
local clock = redis.call('TIME')
local v = math.max(tonumber(redis.call('HGET', KEYS[1], 'v') or 0) + 1, clock[1] * 1000000 + clock[2], ARGV[3])
local text = string.format('%.0f', v)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', text, 'c', text, 'b', 0)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], '')
return 1
