-- Takes what is due from the list of queues and topics, for one gateway: the
-- others do not see it until the claim is over.
--
-- KEYS[1] the list; ARGV[1] how long the claim holds, in milliseconds; ARGV[2]
-- how many at most
--
-- The answer: until when the claim holds, and what is due.
local clock = redis.call('TIME')
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = string.format('%.0f', ms + ARGV[1])
local out = { ends }
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', KEYS[1], ends, member)
  out[#out + 1] = member
end
return out
