-- Makes delayed rows due: whether retries too, limit. Returns how many.
local limit, made = tonumber(ARGV[3]), 0
for _, name in ipairs(ARGV[2] == '1' and {':first', ':retry'} or {':first'}) do
  for _, m in ipairs(call('ZRANGEBYSCORE', P .. name, '(' .. exact(now), '+inf', 'LIMIT', 0, limit - made)) do
    call('ZADD', P .. name, exact(now), m)
    call('HSET', row(id_of(m)), 'due', exact(now))
    made = made + 1
  end
end
return made
