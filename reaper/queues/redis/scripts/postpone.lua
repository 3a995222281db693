-- @include common_operators
-- Postpones IDs: seconds, instant or '', by, reason, the name under which reaper re-opens, the word that begins the
-- reason of a postponement, IDs. Returns the PostponeResult of each.
local due = tonumber(ARGV[3]) or now + tonumber(ARGV[2])
local results = {}
for i = 8, #ARGV do
  local id = ARGV[i]
  local state, n, sends = standing(id)
  if state == 'done' then postpone(id, n, sends, due, ARGV[4], ARGV[5], ARGV[6], ARGV[7]) end
  results[#results + 1] = state
end
return results
