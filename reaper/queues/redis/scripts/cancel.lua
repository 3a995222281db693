-- @include common_operators
-- Cancels an ID: ID, by, reason. Returns a CancelResult.
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
