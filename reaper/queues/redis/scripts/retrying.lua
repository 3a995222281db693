-- Returns waiting rows that were sent before, the latest due first: limit.
local rows = {}
for i, m in ipairs(call('ZRANGE', P .. ':retry', '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2])) do
  local key = row(id_of(m))
  local src = call('HGET', key, 'src')
  rows[i] = {id_of(m), call('HGETALL', key), src and call('HGET', P .. ':names', src) or ''}
end
return {exact(now), rows}
