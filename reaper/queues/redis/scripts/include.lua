-- Adds those of the IDs that have a row to a set: set, lifetime, IDs.
local set, set_s = ARGV[2], ARGV[3]
for i = 4, #ARGV do
  local n = call('HGET', row(ARGV[i]), 'n')
  if n then call('ZADD', set, n, ARGV[i]) end
end
call('EXPIRE', set, set_s)
