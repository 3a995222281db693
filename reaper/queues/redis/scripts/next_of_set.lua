-- Returns when the next open row of a set can be claimed ('' for never), delayed first sends excepted: set, lifetime,
-- size up to which a set is searched row by row.
local set, set_s, small, best = ARGV[2], ARGV[3], tonumber(ARGV[4]), nil
call('EXPIRE', set, set_s)
local function consider(at) if not best or at < best then best = at end end
if call('ZCARD', set) <= small then
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    local r = call('HMGET', row(id), 'n', 'out', 'due', 'until', 'snd')
    if r[1] and not r[2] then
      local at = tonumber(r[4] or r[3])
      if tonumber(r[5] or 0) > 0 or at <= now then consider(at) end
    end
  end
else
  for _, name in ipairs({':first', ':retry', ':lease'}) do
    local from, done = 0, false
    while not done do
      local flat, ids = call('ZRANGE', P .. name, from, from + 999, 'WITHSCORES'), {}
      for i = 1, #flat, 2 do
        local at = tonumber(flat[i + 1])
        if (name == ':first' and at > now) or (best and at >= best) then break end
        ids[#ids + 1] = id_of(flat[i])
      end
      if #ids == 0 then break end
      for i, mine in ipairs(call('ZMSCORE', set, unpack(ids))) do
        if mine then
          consider(tonumber(flat[2 * i]))
          done = true
          break
        end
      end
      from = from + 1000
      done = done or #ids < 1000
    end
  end
end
return best and exact(best) or ''
