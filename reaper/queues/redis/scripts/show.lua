-- Returns the time, a row's fields and its source: ID.
local fields = call('HGETALL', row(ARGV[2]))
local src = call('HGET', row(ARGV[2]), 'src')
return {exact(now), fields, src and call('HGET', P .. ':names', src) or ''}
