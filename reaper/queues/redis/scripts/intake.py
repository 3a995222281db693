"""The scripts of intake and operators, in Lua: add, the inbox, postpone, cancel, re-open, purge, notes."""

from __future__ import annotations

from reaper.queues.redis.scripts.common import STANDING, TAKING, Script

_ADD = """
local again, by, later, set, set_s = ARGV[2] == '1', ARGV[3], now + tonumber(ARGV[4]), ARGV[5], ARGV[6]
local src, invalid = source(ARGV[7]), tonumber(ARGV[8])
local accepted, duplicates, answer = 0, 0, {0, 0}
for i = 9 + invalid, #ARGV, 2 do
  local id, due = ARGV[i], tonumber(ARGV[i + 1]) or later
  local n, new = take_in(id, due, src, again, by)
  if new then
    accepted = accepted + 1
  else
    duplicates = duplicates + 1
    if duplicates <= 100 then answer[#answer + 1] = id end
  end
  if set ~= '' then call('ZADD', set, n, id) end
end
if set ~= '' then call('EXPIRE', set, set_s) end
count_in(src, 'duplicate', duplicates)
count_in(src, 'invalid', invalid)
for i = 9, 8 + invalid do keep_invalid(ARGV[i]) end
answer[1], answer[2] = accepted, duplicates
return answer
"""

# First what a reader that died left behind, then what is new. An entry that was deleted before it was taken in is lost.
_INBOX_READ = """
local key, idle_ms, most = P .. ':inbox', ARGV[2], tonumber(ARGV[3])
local function group(...)
  local answer = redis.pcall(...)
  if answer and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
    call('XGROUP', 'CREATE', key, 'reaper', '0', 'MKSTREAM')
    answer = call(...)
  elseif answer and answer.err then
    error(answer.err)
  end
  return answer
end
local entries, lost, cursor, holes = {}, 0, '0-0', false
repeat
  local answer = group('XAUTOCLAIM', key, 'reaper', 'reaper', idle_ms, cursor, 'COUNT', most)
  cursor = answer[1]
  for i = 1, #answer[2] do
    local entry = answer[2][i]
    if entry and entry[2] then entries[#entries + 1] = entry else holes = true end
  end
  lost = lost + #(answer[3] or {})
until cursor == '0-0' or #entries >= most
if holes then  -- before 7.0 the engine leaves the deleted in the list of what is pending
  for _, pending in ipairs(call('XPENDING', key, 'reaper', '-', '+', most)) do
    if #call('XRANGE', key, pending[1], pending[1]) == 0 then
      lost = lost + call('XACK', key, 'reaper', pending[1])
    end
  end
end
count('inbox.lost', lost)
if #entries < most then
  local new = group('XREADGROUP', 'GROUP', 'reaper', 'reaper', 'COUNT', most - #entries, 'STREAMS', key, '>')
  for _, entry in ipairs(new and new[1] and new[1][2] or {}) do entries[#entries + 1] = entry end
end
return entries
"""

# Taken in once: whoever acknowledges an entry has it.
_INBOX_TAKE = """
local key, later, src, accepted = P .. ':inbox', now + tonumber(ARGV[2]), source('inbox'), 0
for i = 3, #ARGV, 4 do
  if call('XACK', key, 'reaper', ARGV[i]) == 1 then
    call('XDEL', key, ARGV[i])
    if ARGV[i + 3] ~= '' then
      keep_invalid(ARGV[i + 3])
      count_in(src, 'invalid', 1)
    else
      local _, new = take_in(ARGV[i + 1], tonumber(ARGV[i + 2]) or later, src, false, '')
      if new then accepted = accepted + 1 else count_in(src, 'duplicate', 1) end
    end
  end
end
return accepted
"""

_POSTPONE = """
local id = ARGV[2]
local state, n, sends = standing(id)
if state == 'done' then
  local due = now + tonumber(ARGV[3])
  leave(id, n)
  call('HDEL', row(id), 'rcp', 'until', 'fb')
  call('HSET', row(id), 'due', exact(due))
  wait(id, n, sends, due)
end
return state
"""

_CANCEL = """
local id = ARGV[2]
local state = standing(id)
if state == 'done' or state == 'in_flight' then
  call('HSET', row(id), 'cby', ARGV[3], 'cwhy', ARGV[4])
  if state == 'in_flight' then
    call('SADD', P .. ':wishes', id)
    return 'requested'
  end
  end_cancelled(id)
end
return state
"""

_MAKE_DUE = """
local most, made = tonumber(ARGV[3]), 0
for _, name in ipairs(ARGV[2] == '1' and {':first', ':retry'} or {':first'}) do
  for _, m in ipairs(call('ZRANGEBYSCORE', P .. name, '(' .. exact(now), '+inf', 'LIMIT', 0, most - made)) do
    call('ZADD', P .. name, exact(now), m)
    call('HSET', row(id_of(m)), 'due', exact(now))
    made = made + 1
  end
end
return made
"""

_REOPEN = """
local reopened = 0
for i = 5, #ARGV do
  local r = known(ARGV[i])
  if r and r.out and string.find(ARGV[4], ',' .. r.out .. ',', 1, true) then
    renew(ARGV[i], r, r.src, now, ARGV[2], ARGV[3])
    reopened = reopened + 1
  end
end
return reopened
"""

_PURGE = """
local purged = 0
for i = 3, #ARGV do
  local r = call('HMGET', row(ARGV[i]), 'n', 'out')
  if r[2] and string.find(ARGV[2], ',' .. r[2] .. ',', 1, true) then
    call('ZREM', P .. ':out:' .. r[2], member(r[1], ARGV[i]))
    call('DEL', row(ARGV[i]))
    count('pruned.' .. r[2], 1)
    purged = purged + 1
  end
end
return purged
"""

# Whether there was a note, and shall be one, is told beside the text: an empty text is a note too.
_COMPARE_AND_SET = """
local key, name = P .. ':notes', ARGV[2]
if call('HGET', key, name) ~= (ARGV[3] == '1' and ARGV[4]) then return 0 end
if ARGV[5] == '1' then call('HSET', key, name, ARGV[6]) else call('HDEL', key, name) end
return 1
"""

ADD = Script.of("add", TAKING, _ADD)
POSTPONE = Script.of("postpone", STANDING, _POSTPONE)
CANCEL = Script.of("cancel", STANDING, _CANCEL)
MAKE_DUE = Script.of("make_due", _MAKE_DUE)
REOPEN = Script.of("reopen", TAKING, _REOPEN)
PURGE = Script.of("purge", _PURGE)
COMPARE_AND_SET = Script.of("set_note", _COMPARE_AND_SET)
INBOX_READ = Script.of("inbox_read", _INBOX_READ)
INBOX_TAKE = Script.of("inbox_take", TAKING, _INBOX_TAKE)
