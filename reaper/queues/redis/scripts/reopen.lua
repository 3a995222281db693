-- @include common_intake
-- Begins a new round for the rows that have one of the outcomes: by, reason, outcomes, delay in
-- seconds, IDs. Returns how many.
local reopened = 0
for i = 6, #ARGV do
  local r = known(ARGV[i])
  if r and r.out and string.find(ARGV[4], ',' .. r.out .. ',', 1, true) then
    renew(ARGV[i], r, r.src, now + tonumber(ARGV[5]), ARGV[2], ARGV[3])
    if r.cby then
      call('HSET', row(ARGV[i]), 'cby', r.cby, 'cwhy', r.cwhy)
      end_cancelled(ARGV[i])
    end
    reopened = reopened + 1
  end
end
return reopened
