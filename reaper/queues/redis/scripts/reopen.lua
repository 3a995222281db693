-- @include common_intake
-- Begins a new round for the rows that have one of the outcomes: by, reason, outcomes, IDs. Returns how many.
local reopened = 0
for i = 5, #ARGV do
  local r = known(ARGV[i])
  if r and r.out and string.find(ARGV[4], ',' .. r.out .. ',', 1, true) then
    renew(ARGV[i], r, r.src, now, ARGV[2], ARGV[3])
    reopened = reopened + 1
  end
end
return reopened
