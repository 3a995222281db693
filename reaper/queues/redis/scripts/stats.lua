-- Returns the figures of the queue, and how many rows each of the outcomes has: outcomes.
local t, ready, later, oldest, next_at = exact(now), 0, {}, now, {}
for _, name in ipairs({':first', ':retry', ':lease'}) do
  ready = ready + call('ZCOUNT', P .. name, '-inf', t)
  later[#later + 1] = call('ZCOUNT', P .. name, '(' .. t, '+inf')
  local coming = call('ZRANGE', P .. name, '(' .. t, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  next_at[#next_at + 1] = coming[2] or ''
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
return {ready, later[1], later[2], later[3], exact(now - oldest), next_at[1], next_at[2],
  call('HGETALL', P .. ':counters'), kept, sum(':accepted'), sum(':duplicate'), sum(':invalid'),
  call('ZCARD', P .. ':first') + call('ZCARD', P .. ':retry') + call('ZCARD', P .. ':lease')}
