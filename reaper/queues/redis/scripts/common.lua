-- What all scripts share: the check of the queue's identity, the time, names of keys, moves of rows between indexes.
-- luacheck: push ignore 211
local call, P = redis.call, KEYS[1]
local identity, now = string.match(ARGV[1], '^(%S*) (.*)$')
now = tonumber(now)
if not now then
  local t = call('TIME')
  now = t[1] + t[2] / 1000000
end
if identity ~= '' then
  local found = call('HMGET', P .. ':meta', 'queue', 'identity', 'schema')
  if (found[1] or found[2]) ~= identity then return redis.error_reply('REPLACED') end
  if not string.match(found[3] or '', '^[123]$') then return redis.error_reply('NEWER') end
end
local function exact(x) return string.format('%.17g', x) end
local function row(id) return P .. ':id:' .. id end
local function member(n, id) return string.format('%012d', n) .. id end
local function place_of(m) return tonumber(string.sub(m, 1, 12)) end
local function id_of(m) return string.sub(m, 13) end
local function count(name, more)
  if more ~= 0 then call('HINCRBY', P .. ':counters', name, more) end
end
-- The history. `past` gathers the counts of this script by name; `write_past` adds them to the slot.
local bounds, past = {0.5, 1, 5, 15, 60, 120, 300, 600, 1800, 3600, 14400}, {}
local function remember(outcome, due)
  past[outcome] = (past[outcome] or 0) + 1
  if not due then return end
  local bucket = 'waited.more'
  for _, bound in ipairs(bounds) do
    if now - due < bound then bucket = 'waited.' .. bound break end
  end
  past[bucket] = (past[bucket] or 0) + 1
end
local function slot_key(at) return P .. ':past:' .. string.format('%d', math.floor(at / 300) * 300) end
local function write_past()
  local key = slot_key(now)
  for name, more in pairs(past) do call('HINCRBY', key, name, more) end
  if next(past) then call('EXPIRE', key, 86700) end
  past = {}
end
local function wait(id, n, sends, due)
  call('ZADD', P .. (tonumber(sends) > 0 and ':retry' or ':first'), exact(due), member(n, id))
end
local function unindex(id, n)
  for _, name in ipairs({':first', ':retry', ':lease'}) do call('ZREM', P .. name, member(n, id)) end
  call('SREM', P .. ':wishes', id)
end
local function end_cancelled(id)
  local r = call('HMGET', row(id), 'n', 'cby', 'cwhy')
  unindex(id, r[1])
  call('HDEL', row(id), 'rcp', 'until', 'cby', 'cwhy', 'fs', 'fb', 'amb')
  call('HSET', row(id), 'out', 'cancelled', 'at', exact(now), 'by', r[2], 'why', r[3])
  call('ZADD', P .. ':out:cancelled', exact(now), member(r[1], id))
  count('settled.cancelled', 1)
  remember('cancelled')
  write_past()
end
local function before(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  return place_of(a[2]) < place_of(b[2])
end
-- The rank of the first entry after (score, place); from the first one without a score.
local function seek(key, score, n)
  if score == '' then return 0 end
  local low, high = call('ZCOUNT', key, '-inf', '(' .. score), call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if place_of(call('ZRANGE', key, middle, middle)[1]) <= tonumber(n) then low = middle + 1 else high = middle end
  end
  return low
end
-- luacheck: pop
