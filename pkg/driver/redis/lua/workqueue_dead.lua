-- Drives dead letters again, or removes them.
--
-- ARGV[4] r redrive, p purge; ARGV[5] how many of the oldest, or 0 for those named
-- ARGV[6…] ids
--
-- The answer: how many it were, and 1 if there may be dead letters that are not
-- listed yet.
local more = advance()
local ids = {}
if tonumber(ARGV[5]) > 0 then
  ids = call('ZRANGE', X, 0, ARGV[5] - 1)
else
  for i = 6, #ARGV do ids[#ids + 1] = ARGV[i] end
end
local n = 0
for _, id in ipairs(ids) do
  if call('ZREM', X, id) == 1 then
    local c = load(id)
    n = n + 1
    if ARGV[4] == 'p' then
      forget(c)
    else
      c.attempts, c.born, c.reason = 0, ms, ''
      make_ready(c)
    end
  end
end
finish()
return { n, more and 1 or 0 }
