-- Functions of the scripts that begin rounds.
-- luacheck: push ignore 211
local function source(name)
  local src = call('HGET', P .. ':sources', name)
  if not src then
    src = tostring(call('HINCRBY', P .. ':meta', 'sources', 1))
    call('HSET', P .. ':sources', name, src)
    call('HSET', P .. ':names', src, name)
  end
  return src
end
local function count_in(src, name, more)
  count(name, more)
  if more ~= 0 then call('HINCRBY', P .. ':' .. name, src, more) end
end
local function renew(id, r, src, due, by, why)
  call('ZREM', P .. ':out:' .. r.out, member(r.n, id))
  count('reopened.' .. r.out, 1)
  count_in(src, 'accepted', 1)
  call('DEL', row(id))
  call('HSET', row(id), 'n', r.n, 'src', src, 'add', r.add, 'due', exact(due), 'rnd', (r.rnd or 1) + 1)
  if by ~= '' then call('HSET', row(id), 'by', by) end
  if why ~= '' then call('HSET', row(id), 'why', why) end
  wait(id, r.n, 0, due)
end
local function known(id)
  local r = call('HMGET', row(id), 'n', 'out', 'rnd', 'add', 'src', 'cby', 'cwhy')
  return r[1] and {n = r[1], out = r[2], rnd = r[3], add = r[4], src = r[5], cby = r[6], cwhy = r[7]}
end
-- Returns the place, and whether a round began.
local function take_in(id, due, src, again, by)
  local r = known(id)
  if not r then
    local n = call('HINCRBY', P .. ':meta', 'places', 1)
    call('HSET', row(id), 'n', n, 'src', src, 'add', exact(now), 'due', exact(due))
    wait(id, n, 0, due)
    count_in(src, 'accepted', 1)
    return n, true
  end
  if r.out and string.find(again, ',' .. r.out .. ',', 1, true) then
    renew(id, r, src, due, by, '')
    return r.n, true
  end
  return r.n, false
end
local function keep_invalid(line)
  call('LPUSH', P .. ':lines', line)
  call('LTRIM', P .. ':lines', 0, 9999)
end
-- luacheck: pop
