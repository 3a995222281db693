"""The scripts of the workers, in Lua: claim, apply, tend, tell, leave."""

from __future__ import annotations

from reaper.queues.redis.scripts.common import Script

_CLAIM = """
local most, lease_s, owner, nth, set, small = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local firsts, retries = {}, {}
local function due(found, name)
  local from, size, wanted = 0, set == '' and most or 1000, #found + most
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
while #leases < most and (firsts[f] or retries[r]) do
  local entry
  if retries[r] and (not firsts[f] or (turn + #leases) % 4 == 3) then
    entry, r = retries[r], r + 1
  else
    entry, f = firsts[f], f + 1
  end
  local m = entry[2]
  local id = id_of(m)
  local v = call('HMGET', row(id), 'n', 'out', 'rnd', 'att', 'snd', 'rec', 'amb', 'fs', 'src')
  if v[1] and (tonumber(v[1]) ~= nr(m) or v[2]) then
    call('ZREM', P .. ':' .. entry[3], m)  -- an index of what is no more: only after the engine evicted rows
  else
    if not v[1] then call('HSET', row(id), 'n', nr(m), 'add', exact(now), 'due', exact(entry[1])) end
    local sends, seen, src = tonumber(v[5] or 0), tonumber(v[8] or 0), v[9]
    if src and names[src] == nil then names[src] = call('HGET', P .. ':names', src) or '' end
    local receipt = owner .. '.' .. nth .. '.' .. (#leases + 1)
    call('HSET', row(id), 'snd', sends + 1, 'rcp', receipt, 'until', exact(until_), 'fb', seen, 'fs', finals)
    if entry[3] ~= 'lease' then call('ZREM', P .. ':' .. entry[3], m) end
    call('ZADD', P .. ':lease', exact(until_), m)
    leases[#leases + 1] = {id, receipt, tonumber(v[3] or 1), tonumber(v[4] or 0), sends + 1,
      sends - tonumber(v[6] or 0),
      v[7] and 1 or 0, sends > 0 and finals > seen and 1 or 0, src and names[src] or ''}
  end
end
if #leases > 0 then call('HINCRBY', P .. ':meta', 'turn', #leases) end
return {leases, exact(until_), call('XLEN', P .. ':inbox')}
"""

# What was carried out is remembered until the process says that the answer arrived: an apply whose answer was lost is
# asked again, and then good, whatever became of the row meanwhile.
_APPLY = """
local done, nth, keep, keep_s = P .. ':done:' .. ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local answer, carried = {}, {}
call('ZREMRANGEBYSCORE', done, ARGV[4], ARGV[4])
for i = 7, #ARGV, 20 do
  local id, receipt, sent = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'
  local att, snd, rec, amb, after = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local slot, h, e, q = ARGV[i + 8], ARGV[i + 9], ARGV[i + 10], ARGV[i + 11]
  local r, good = call('HMGET', row(id), 'rcp', 'n', 'fb', 'due', 'cby', 'cwhy'), 0
  if r[1] == receipt then
    good = 1
    local o = i + (r[5] and 16 or 12)
    local out, st, det, counts = ARGV[o], ARGV[o + 1], ARGV[o + 2], ARGV[o + 3]
    local set, m = {'att', att, 'snd', snd, 'rec', rec}, member(r[2], id)
    local function put(name, value) set[#set + 1], set[#set + 2] = name, value end
    call('ZREM', P .. ':lease', m)
    call('HDEL', row(id), 'rcp', 'until', 'fb', 'cby', 'cwhy')
    if sent then
      put('h' .. slot, h)
      call('HDEL', row(id), 'e' .. slot, 'q' .. slot)
      if e ~= '' then put('e' .. slot, e) end
      if q ~= '' then put('q' .. slot, q) end
    end
    if out == '' then
      if amb == '1' then put('amb', 1) end
      if not sent then put('fs', r[3]) end
      local due = after == '' and tonumber(r[4]) or now + tonumber(after)
      put('due', exact(due))
      wait(id, r[2], snd, due)
    else
      put('out', out)
      put('at', exact(now))
      if st ~= '' then put('st', st) end
      if det ~= '' then put('det', det) end
      if out == 'cancelled' and r[5] then
        put('by', r[5])
        put('why', r[6])
      end
      call('HDEL', row(id), 'amb', 'fs')
      call('ZADD', P .. ':out:' .. out, exact(now), m)
      for name in string.gmatch(counts, '[^,]+') do count(name, 1) end
    end
    if r[5] then call('SREM', P .. ':wishes', id) end
    call('HSET', row(id), unpack(set))
  elseif call('ZSCORE', done, receipt) then
    good = 1
  end
  if good == 1 then carried[#carried + 1], carried[#carried + 2] = nth, receipt end
  answer[#answer + 1] = good
end
if #carried > 0 then
  call('ZADD', done, unpack(carried))
  call('ZREMRANGEBYRANK', done, 0, -keep - 1)
  call('EXPIRE', done, keep_s)
end
return answer
"""

_MAINTAIN = """
local before_, most, forget_s = now - tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local set_s, outcomes = ARGV[5], ARGV[6]
for i = 7, #ARGV do call('EXPIRE', ARGV[i], set_s) end
local freed, gone, any = 0, {}, false
for _, owner in ipairs(call('SMEMBERS', P .. ':gone')) do gone[owner], any = true, true end
if any then
  for _, m in ipairs(call('ZRANGE', P .. ':lease', 0, -1)) do
    local id = id_of(m)
    local r = call('HMGET', row(id), 'rcp', 'due', 'snd', 'cby')
    if r[1] and gone[string.match(r[1], '^[^.]+')] then
      freed = freed + 1
      if r[4] then
        end_cancelled(id)
      else
        call('ZREM', P .. ':lease', m)
        call('HDEL', row(id), 'rcp', 'until', 'fb')
        wait(id, nr(m), r[3], tonumber(r[2]))
      end
    end
  end
  call('DEL', P .. ':gone')
end
for _, id in ipairs(call('SMEMBERS', P .. ':wishes')) do
  local r = call('HMGET', row(id), 'until', 'cby')
  if r[2] and (not r[1] or tonumber(r[1]) <= now) then end_cancelled(id) end
end
for outcome in string.gmatch(outcomes, '[^,]+') do
  local key = P .. ':out:' .. outcome
  local old = call('ZRANGEBYSCORE', key, '-inf', '(' .. exact(before_), 'LIMIT', 0, most)
  for _, m in ipairs(old) do
    call('DEL', row(id_of(m)))
    call('ZREM', key, m)
  end
  count('pruned.' .. outcome, #old)
  most = most - #old
end
for _, owner in ipairs(call('ZRANGEBYSCORE', P .. ':told', '-inf', '(' .. exact(now - forget_s))) do
  call('ZREM', P .. ':told', owner)
  call('HDEL', P .. ':reapers', owner)
end
return {freed, call('XLEN', P .. ':inbox')}
"""

_HEARTBEAT = """
call('HSET', P .. ':reapers', ARGV[2], ARGV[3])
call('ZADD', P .. ':told', exact(now), ARGV[2])
"""

_DEREGISTER = """
call('HDEL', P .. ':reapers', ARGV[2])
call('ZREM', P .. ':told', ARGV[2])
if ARGV[3] == '1' then call('SADD', P .. ':gone', ARGV[2]) end
call('DEL', P .. ':done:' .. ARGV[2])
for i = 4, #ARGV do call('DEL', ARGV[i]) end
"""

CLAIM = Script.of("claim", _CLAIM)
APPLY = Script.of("apply", _APPLY)
MAINTAIN = Script.of("tend", _MAINTAIN)
HEARTBEAT = Script.of("tell", _HEARTBEAT)
DEREGISTER = Script.of("leave", _DEREGISTER)
