-- @include common_operators
-- Postpones an ID: ID, seconds. Returns a PostponeResult.
local id = ARGV[2]
local state, n, sends = standing(id)
if state == 'done' then
  local due = now + tonumber(ARGV[3])
  unindex(id, n)
  call('HDEL', row(id), 'rcp', 'until', 'fb')
  call('HSET', row(id), 'due', exact(due))
  wait(id, n, sends, due)
end
return state
