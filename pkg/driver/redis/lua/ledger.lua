-- The answers to receipts: R holds them by id, O the ids by their end.

-- ledger gives replay and keep for those of one place; us is the time, bound
-- how many are kept.
local function ledger(R, O, us, bound)
  local call, pack, unpack_, sub = redis.call, struct.pack, struct.unpack, string.sub
  local kept = 0
  local held -- receipts that there are, once it was asked

  -- replay finds the answer to a receipt: P and the answer, or an error.
  local function replay(id, body)
    local r = call('HGET', R, id)
    if not r or unpack_('>I8', r, 17) <= us then return nil end
    if sub(r, 1, 16) ~= body then return 'EK' end
    return 'P' .. sub(r, 25)
  end

  -- keep stores the answer to a receipt. Those nearest their end make room.
  local function keep(id, body, time, most, answer)
    kept = kept + 1
    local at = us + time + kept
    call('HSET', R, id, body .. pack('>I8', at) .. answer)
    held = (held or call('ZCARD', O)) + call('ZADD', O, string.format('%.0f', at), id)
    local over = held - ((most > 0 and most < bound) and most or bound)
    if over > 0 then
      local out = call('ZPOPMIN', O, math.min(over, 1000))
      for i = 1, #out, 2 do call('HDEL', R, out[i]) end
      held = held - #out / 2
    end
  end

  return replay, keep
end
