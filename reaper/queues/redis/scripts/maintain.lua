-- Maintains the queue: age of rows to prune, limit of pruned rows, age of heartbeats to remove, lifetime of sets,
-- outcomes to prune, this process's sets. Returns how many leases were released, and the length of the inbox.
local before_, limit, forget_s = now - tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local set_s, outcomes = ARGV[5], ARGV[6]
for i = 7, #ARGV do call('EXPIRE', ARGV[i], set_s) end
local freed, gone, any = 0, {}, false
for _, owner in ipairs(call('SMEMBERS', P .. ':gone')) do gone[string.match(owner, '^[^@]+')], any = true, true end
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
        wait(id, place_of(m), r[3], tonumber(r[2]))
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
  local old = call('ZRANGEBYSCORE', key, '-inf', '(' .. exact(before_), 'LIMIT', 0, limit)
  for _, m in ipairs(old) do
    call('DEL', row(id_of(m)))
    call('ZREM', key, m)
  end
  count('pruned.' .. outcome, #old)
  limit = limit - #old
end
for _, owner in ipairs(call('ZRANGEBYSCORE', P .. ':told', '-inf', '(' .. exact(now - forget_s))) do
  call('ZREM', P .. ':told', owner)
  call('HDEL', P .. ':reapers', owner)
end
return {freed, call('XLEN', P .. ':inbox')}
