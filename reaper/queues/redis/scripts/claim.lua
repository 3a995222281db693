-- Claims: limit, lease_s, owner, number of this claim, set or '', size up to which a set is searched row by row.
-- Returns the leases, when they end, and the length of the inbox.
local limit, lease_s, owner, nth, set, small = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local firsts, retries = {}, {}
local function due(found, name)
  local from, size, wanted = 0, set == '' and limit or 1000, #found + limit
  while #found < wanted do
    local flat, ids, over = call('ZRANGE', P .. ':' .. name, from, from + size - 1, 'WITHSCORES'), {}, false
    for i = 1, #flat, 2 do
      if tonumber(flat[i + 1]) > now then over = true break end
      ids[#ids + 1] = id_of(flat[i])
    end
    if #ids == 0 then return end
    local mine, ended = set ~= '' and call('ZMSCORE', set, unpack(ids)), 0
    for i, id in ipairs(ids) do
      if not mine or mine[i] then
        if name == 'lease' and call('HEXISTS', row(id), 'cby') == 1 then
          end_cancelled(id)
          ended = ended + 1
        elseif #found < wanted then
          found[#found + 1] = {tonumber(flat[2 * i]), flat[2 * i - 1], name}
        end
      end
    end
    if over then return end
    from = from + #ids - ended
  end
end
if set ~= '' and call('ZCARD', set) <= tonumber(small) then
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    local r = call('HMGET', row(id), 'n', 'out', 'due', 'until', 'snd', 'cby')
    if r[1] and not r[2] and tonumber(r[4] or r[3]) <= now then
      if r[6] then
        end_cancelled(id)
      else
        local retry = tonumber(r[5] or 0) > 0
        local name, list = r[4] and 'lease' or retry and 'retry' or 'first', retry and retries or firsts
        list[#list + 1] = {tonumber(r[4] or r[3]), member(r[1], id), name}
      end
    end
  end
  table.sort(firsts, before)
else
  due(firsts, 'first')
  due(retries, 'retry')
  due(retries, 'lease')
end
table.sort(retries, before)
local turn = tonumber(call('HGET', P .. ':meta', 'turn') or 0)
local finals = tonumber(call('HGET', P .. ':counters', 'finals') or 0)
local until_, names, leases, f, r = now + lease_s, {}, {}, 1, 1
while #leases < limit and (firsts[f] or retries[r]) do
  local entry
  if retries[r] and (not firsts[f] or (turn + #leases) % 4 == 3) then
    entry, r = retries[r], r + 1
  else
    entry, f = firsts[f], f + 1
  end
  local m = entry[2]
  local id = id_of(m)
  local v = call('HMGET', row(id), 'n', 'out', 'rnd', 'att', 'snd', 'rec', 'amb', 'fs', 'src', 'due', 'fd')
  if v[1] and (tonumber(v[1]) ~= place_of(m) or v[2]) then
    call('ZREM', P .. ':' .. entry[3], m)  -- its row is gone: only after the server evicted rows
  else
    if not v[1] then call('HSET', row(id), 'n', place_of(m), 'add', exact(now), 'due', exact(entry[1])) end
    local sends, seen, src = tonumber(v[5] or 0), tonumber(v[8] or 0), v[9]
    if src and names[src] == nil then names[src] = call('HGET', P .. ':names', src) or '' end
    local receipt = string.match(owner, '^[^@]+') .. '.' .. nth .. '.' .. (#leases + 1)
    call('HSET', row(id), 'snd', sends + 1, 'rcp', receipt, 'until', exact(until_), 'fb', seen, 'fs', finals)
    if entry[3] ~= 'lease' then call('ZREM', P .. ':' .. entry[3], m) end
    call('ZADD', P .. ':lease', exact(until_), m)
    leases[#leases + 1] = {id, receipt, tonumber(v[3] or 1), tonumber(v[4] or 0), sends + 1,
      sends - tonumber(v[6] or 0),
      v[7] and 1 or 0, sends > 0 and finals > seen and 1 or 0, src and names[src] or '',
      v[11] or v[10] or exact(entry[1])}
  end
end
if #leases > 0 then call('HINCRBY', P .. ':meta', 'turn', #leases) end
return {leases, exact(until_), call('XLEN', P .. ':inbox')}
