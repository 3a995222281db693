-- @include common_operators
-- Cancels IDs: by, reason, IDs. Returns the CancelResult of each.
local results = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local state = standing(id)
  if state == 'done' or state == 'in_flight' then
    call('HSET', row(id), 'cby', ARGV[2], 'cwhy', ARGV[3])
    if state == 'done' then
      end_cancelled(id)
    else
      call('SADD', P .. ':wishes', id)
      state = 'requested'
    end
  end
  if call('HGET', row(id), 'out') == 'already_gone' then
    call('HSET', row(id), 'cby', ARGV[2], 'cwhy', ARGV[3])
  end
  results[#results + 1] = state
end
return results
