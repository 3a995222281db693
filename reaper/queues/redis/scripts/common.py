"""What happens inside the engine, in Lua: each script is one atomic step. Here: what the scripts share.

The keys, all behind one hash tag `P`:

- `P:id:ID` a hash, one row. Fields: `n` place in the order of acceptance, `src` number of the source, `add` `due`
  instants, `rnd` round, `att` attempts, `snd` sends, `rec` recorded sends, `amb` ambiguous, `fs` `fb` finals seen now
  and before, `rcp` receipt, `until` lease's end, `cby` `cwhy` requested cancellation, `out` outcome, `st` status, `det`
  detail, `at` settled at, `by` `why` the operator's; `h0`-`h19` a ring of sends, with `e` errors and `q` request IDs.
  What is absent is zero or none. Values stay short, so that the engine keeps the row in its compact form.
- `P:first` `P:retry` sorted by due time: waiting, never sent or sent before; `P:lease` by lease's end; `P:out:OUTCOME`
  by settling. Their members are the place, 12 digits, and the ID: so equal times are in the order of acceptance.
- `P:counters`, `P:accepted` `P:duplicate` `P:invalid` by source, `P:sources` `P:names` of the sources.
- `P:inbox` the producers' stream, `P:set:…` run sets (place by ID), `P:wishes` cancelled in flight, `P:gone` owners
  that left, `P:done:OWNER` the receipts of applies whose answer may not have arrived (by number of their batch),
  `P:reapers` `P:told` what processes told, `P:pause`, `P:notes`, `P:lines` not accepted, `P:meta`.

`ARGV[1]` is the identity of the queue that the process opened, a space, and the time in tests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

COMMON = """
local call, P = redis.call, KEYS[1]
local identity, now = string.match(ARGV[1], '^(%S*) (.*)$')
now = tonumber(now)
if not now then
  local t = call('TIME')
  now = t[1] + t[2] / 1000000
end
if identity ~= '' and call('HGET', P .. ':meta', 'identity') ~= identity then
  return redis.error_reply('REPLACED')
end
local function exact(x) return string.format('%.17g', x) end
local function row(id) return P .. ':id:' .. id end
local function member(n, id) return string.format('%012d', n) .. id end
local function nr(m) return tonumber(string.sub(m, 1, 12)) end
local function id_of(m) return string.sub(m, 13) end
local function count(name, more)
  if more ~= 0 then call('HINCRBY', P .. ':counters', name, more) end
end
local function wait(id, n, sends, due)
  call('ZADD', P .. (tonumber(sends) > 0 and ':retry' or ':first'), exact(due), member(n, id))
end
local function leave(id, n)
  for _, name in ipairs({':first', ':retry', ':lease'}) do call('ZREM', P .. name, member(n, id)) end
  call('SREM', P .. ':wishes', id)
end
local function end_cancelled(id)
  local r = call('HMGET', row(id), 'n', 'cby', 'cwhy')
  leave(id, r[1])
  call('HDEL', row(id), 'rcp', 'until', 'cby', 'cwhy', 'fs', 'fb', 'amb')
  call('HSET', row(id), 'out', 'cancelled', 'at', exact(now), 'by', r[2], 'why', r[3])
  call('ZADD', P .. ':out:cancelled', exact(now), member(r[1], id))
  count('settled.cancelled', 1)
end
local function before(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  return nr(a[2]) < nr(b[2])
end
-- The rank of the first entry after (score, place); from the first one without a score.
local function seek(key, score, n)
  if score == '' then return 0 end
  local low, high = call('ZCOUNT', key, '-inf', '(' .. score), call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if nr(call('ZRANGE', key, middle, middle)[1]) <= tonumber(n) then low = middle + 1 else high = middle end
  end
  return low
end
"""

TAKING = """
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
  local r = call('HMGET', row(id), 'n', 'out', 'rnd', 'add', 'src')
  return r[1] and {n = r[1], out = r[2], rnd = r[3], add = r[4], src = r[5]}
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
  if again and r.out then
    renew(id, r, src, due, by, '')
    return r.n, true
  end
  return r.n, false
end
local function keep_invalid(line)
  call('LPUSH', P .. ':lines', line)
  call('LTRIM', P .. ':lines', 0, 999)
end
"""

STANDING = """
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
"""


@dataclass(frozen=True, slots=True)
class Script:
    """One atomic step; the engine knows it by its digest."""

    name: str
    text: str
    sha: str

    @staticmethod
    def of(name: str, *parts: str) -> Script:
        """Put a script together, what all of them share first."""
        text = COMMON + "".join(parts)
        return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
