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
-- luacheck: pop
