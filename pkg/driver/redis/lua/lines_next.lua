-- Says when to look at a queue or a topic again, unless somebody else has said
-- so meanwhile.
--
-- KEYS[1] the list; ARGV what it is, until when it was claimed, and in how many
-- milliseconds to look (-1: it is gone)
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '-1' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[3]), ARGV[1])
return 1
