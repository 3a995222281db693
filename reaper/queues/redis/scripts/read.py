"""The scripts that read, in Lua: rows, figures, run sets. Long reading goes in pages, each an atomic step."""

from __future__ import annotations

from reaper.queues.redis.scripts.common import Script

_BEGIN = """
local meta, begun = P .. ':meta', 0
if ARGV[2] ~= '' and not call('HGET', meta, 'schema') then
  call('HSET', meta, 'schema', ARGV[2], 'identity', ARGV[3])
  begun = 1
end
local found = call('HMGET', meta, 'schema', 'identity')
return {found[1], found[2], begun, exact(now)}
"""

_SHOW = """
local fields = call('HGETALL', row(ARGV[2]))
local src = call('HGET', row(ARGV[2]), 'src')
return {exact(now), fields, src and call('HGET', P .. ':names', src) or ''}
"""

# The outcome of each ID, '' while open, nil for one without a row.
_OUTCOMES_OF = """
local found = {}
for i = 2, #ARGV do
  local fields = call('HMGET', row(ARGV[i]), 'n', 'out')
  found[i - 1] = fields[1] and (fields[2] or '')
end
return found
"""

# A page of settled rows after (settled at, place), of the outcomes named, oldest first.
_SETTLED = """
local score, n, most, found, rows = ARGV[2], ARGV[3], tonumber(ARGV[4]), {}, {}
for i = 5, #ARGV do
  local key = P .. ':out:' .. ARGV[i]
  local from = seek(key, score, n)
  local flat = call('ZRANGE', key, from, from + most - 1, 'WITHSCORES')
  for j = 1, #flat, 2 do found[#found + 1] = {tonumber(flat[j + 1]), flat[j]} end
end
table.sort(found, before)
local names = {}
for i = 1, math.min(most, #found) do
  local id = id_of(found[i][2])
  local fields = call('HGETALL', row(id))
  local src = call('HGET', row(id), 'src')
  if src and names[src] == nil then names[src] = call('HGET', P .. ':names', src) or '' end
  rows[i] = {id, exact(found[i][1]), nr(found[i][2]), fields, src and names[src] or ''}
end
return {exact(now), rows}
"""

# Waiting rows that were sent before, the latest due first.
_RETRYING = """
local rows = {}
for i, m in ipairs(call('ZRANGE', P .. ':retry', '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2])) do
  local key = row(id_of(m))
  local src = call('HGET', key, 'src')
  rows[i] = {id_of(m), call('HGETALL', key), src and call('HGET', P .. ':names', src) or ''}
end
return {exact(now), rows}
"""

_STATS = """
local t, ready, delayed, oldest = exact(now), 0, 0, now
for _, name in ipairs({':first', ':retry', ':lease'}) do
  ready = ready + call('ZCOUNT', P .. name, '-inf', t)
  if name ~= ':lease' then delayed = delayed + call('ZCOUNT', P .. name, '(' .. t, '+inf') end
  local first = call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')
  if first[2] then oldest = math.min(oldest, tonumber(first[2])) end
end
local function sum(name)
  local total = 0
  for _, value in ipairs(call('HVALS', P .. name)) do total = total + value end
  return total
end
local kept = {}
for i = 2, #ARGV do kept[#kept + 1] = call('ZCARD', P .. ':out:' .. ARGV[i]) end
return {ready, delayed, call('ZCOUNT', P .. ':lease', '(' .. t, '+inf'), exact(now - oldest),
  call('HGETALL', P .. ':counters'), kept, sum(':accepted'), sum(':duplicate'), sum(':invalid'),
  call('ZCARD', P .. ':first') + call('ZCARD', P .. ':retry') + call('ZCARD', P .. ':lease')}
"""

# A page of one index: do the rows say what the index says, and does a proven outcome have its send?
_VERIFY = """
local name, score, n, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local key = P .. ':' .. name
local from = seek(key, score, n)
local flat, wrong, unproven = call('ZRANGE', key, from, from + most - 1, 'WITHSCORES'), 0, 0
for i = 1, #flat, 2 do
  local at, r, ring = tonumber(flat[i + 1]), {}, 0
  local fields = call('HGETALL', row(id_of(flat[i])))
  for j = 1, #fields, 2 do
    r[fields[j]] = fields[j + 1]
    if string.match(fields[j], '^h%d+$') then ring = ring + 1 end
  end
  local function value(field) return tonumber(r[field] or 0) end
  local rec, good = value('rec'), true
  local function must(true_) good = good and true_ end
  must(r.n ~= nil and value('n') == nr(flat[i]))
  must(value('att') >= 0 and value('att') <= rec and rec <= value('snd'))
  must(ring == math.min(rec, 20))
  must((r['until'] == nil) == (r.rcp == nil) and (r.out == nil) == (r.at == nil))
  if name == 'lease' then must(r.rcp ~= nil and value('until') == at) else must(r.rcp == nil) end
  if name == 'first' or name == 'retry' then
    must(value('due') == at and (value('snd') > 0) == (name == 'retry'))
  end
  if string.sub(name, 1, 4) == 'out:' then
    must(r.out == string.sub(name, 5) and value('at') == at)
  else
    must(r.out == nil)
  end
  if not good then wrong = wrong + 1 end
  if r.out == 'stopped' or r.out == 'already_gone' then
    local st, last = value('st'), string.match(r['h' .. ((rec - 1) % 20)] or '', '(%d+)$')
    local says = r.out == 'stopped' and st >= 200 and st <= 299 or r.out == 'already_gone' and (st == 404 or st == 410)
    if not (rec > 0 and says and tonumber(last or -1) == st) then unproven = unproven + 1 end
  end
end
return {#flat / 2, flat[#flat] or '', #flat > 0 and nr(flat[#flat - 1]) or 0, wrong, unproven}
"""

_NEXT_AT = """
local found = {}
for _, name in ipairs({':first', ':retry', ':lease'}) do
  local first = call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')
  if first[2] then found[#found + 1] = tonumber(first[2]) end
end
return {#found > 0 and exact(math.min(unpack(found))) or '', call('XLEN', P .. ':inbox')}
"""

# A page of what is open and due, in flight included, in the order in which it is: into the set.
_INCLUDE = """
local set, set_s, limit, score, n, most = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6], tonumber(ARGV[7])
local size, found = call('ZCARD', set), {}
for _, name in ipairs({':first', ':retry', ':lease'}) do
  local from = seek(P .. name, score, n)
  local flat = call('ZRANGE', P .. name, from, from + most - 1, 'WITHSCORES')
  for i = 1, #flat, 2 do
    local at = tonumber(flat[i + 1])
    if at > now and name ~= ':lease' then break end
    found[#found + 1] = {at, flat[i]}
  end
end
table.sort(found, before)
local last = math.min(most, #found)
for i = 1, last do
  if limit and size >= limit then break end
  size = size + call('ZADD', set, nr(found[i][2]), id_of(found[i][2]))
end
call('EXPIRE', set, set_s)
local more = last == most and not (limit and size >= limit)
return {size, more and exact(found[last][1]) or '', more and nr(found[last][2]) or 0}
"""

_VIEW = """
local set, set_s, after, most, counts, answer = ARGV[2], ARGV[3], ARGV[4], ARGV[5], {}, {}
call('EXPIRE', set, set_s)
local flat = call('ZRANGEBYSCORE', set, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
for i = 1, #flat, 2 do
  local r, state = call('HMGET', row(flat[i]), 'n', 'out', 'due', 'until', 'snd'), nil
  if r[2] then
    state = r[2]
  elseif r[1] and tonumber(r[4] or r[3]) <= now then
    state = '+ready'
  elseif r[1] then
    state = r[4] and '+in_flight' or tonumber(r[5] or 0) > 0 and '+retrying' or '+delayed'
  end
  if state then counts[state] = (counts[state] or 0) + 1 end
end
for state, number in pairs(counts) do
  answer[#answer + 1] = state
  answer[#answer + 1] = number
end
return {#flat > 0 and flat[#flat] or '', answer}
"""

_NEXT_OF_SET = """
local set, set_s, small, best = ARGV[2], ARGV[3], tonumber(ARGV[4]), nil
call('EXPIRE', set, set_s)
local function see(at) if not best or at < best then best = at end end
if call('ZCARD', set) <= small then
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    local r = call('HMGET', row(id), 'n', 'out', 'due', 'until', 'snd')
    if r[1] and not r[2] then
      local at = tonumber(r[4] or r[3])
      if tonumber(r[5] or 0) > 0 or at <= now then see(at) end
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
          see(tonumber(flat[2 * i]))
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
"""

_HEARTBEATS = """
local answer = {}
local flat = call('ZRANGEBYSCORE', P .. ':told', exact(now - tonumber(ARGV[2])), '+inf', 'WITHSCORES')
for i = 1, #flat, 2 do
  local told = call('HGET', P .. ':reapers', flat[i])
  if told then answer[#answer + 1] = {flat[i], flat[i + 1], told} end
end
return answer
"""

_PAUSED = """
return {exact(now), call('GET', P .. ':pause')}
"""

BEGIN = Script.of("begin", _BEGIN)
SHOW = Script.of("show", _SHOW)
OUTCOMES_OF = Script.of("outcomes_of", _OUTCOMES_OF)
SETTLED = Script.of("settled", _SETTLED)
RETRYING = Script.of("retrying", _RETRYING)
STATS = Script.of("stats", _STATS)
VERIFY = Script.of("verify", _VERIFY)
NEXT_AT = Script.of("next_at", _NEXT_AT)
INCLUDE = Script.of("include", _INCLUDE)
VIEW = Script.of("view", _VIEW)
NEXT_OF_SET = Script.of("next_of_set", _NEXT_OF_SET)
HEARTBEATS = Script.of("reapers", _HEARTBEATS)
PAUSED = Script.of("paused", _PAUSED)
