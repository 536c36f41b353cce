-- Tells how a topic is set and what its partitions hold. The answer: how many
-- partitions, the retention's age and bytes, then three for each partition: its
-- earliest offset, its latest, its bytes.
local out = { text(partitions), meta[2], meta[3] }
for n = 0, partitions - 1 do
  local p = part(n)
  trim(p)
  for _, v in ipairs({ p.first, p.next, p.sum - p.before }) do out[#out + 1] = text(v) end
end
finish()
return out
