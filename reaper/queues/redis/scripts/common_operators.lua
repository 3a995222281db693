-- Functions of the scripts with which operators change one row.
-- luacheck: push ignore 211
local function standing(id)
  local r = call('HMGET', row(id), 'n', 'out', 'until', 'cby', 'snd')
  if not r[1] then return 'unknown' end
  if r[2] then return 'settled' end
  if r[3] and tonumber(r[3]) > now then return 'in_flight' end
  if r[4] then
    end_cancelled(id)
    return 'settled'
  end
  return 'done', r[1], r[5] or 0
end
-- `ours`: the name under which reaper re-opens; `word`: it begins the reason of a postponement.
local function postpone(id, n, sends, due, by, why, ours, word)
  unindex(id, n)
  call('HDEL', row(id), 'rcp', 'until', 'fb', 'fd')
  call('HSET', row(id), 'due', exact(due))
  local r = call('HMGET', row(id), 'by', 'why')
  if r[1] ~= ours or not r[2] or string.sub(r[2], 1, #word) == word then
    call('HSET', row(id), 'by', by, 'why', why)
  end
  wait(id, n, sends, due)
end
-- luacheck: pop
