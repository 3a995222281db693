-- @include common_intake
-- @include common_operators
-- Adds a batch: the outcomes to re-open, whether to postpone what waits, by, the name under which reaper re-opens, the
-- word of a postponement, default delay, set, its lifetime, source, number of invalid lines, those, then ID and due
-- time by turns.
-- Returns how many were accepted, how many duplicates, how many postponed, and the first 100 duplicates.
local again, or_postpone, by, ours, word = ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6]
local later, set, set_s = now + tonumber(ARGV[7]), ARGV[8], ARGV[9]
local src, invalid = source(ARGV[10]), tonumber(ARGV[11])
local accepted, duplicates, postponed, seen, answer = 0, 0, 0, {}, {0, 0, 0}
for i = 12 + invalid, #ARGV, 2 do
  local id, due = ARGV[i], tonumber(ARGV[i + 1]) or later
  local n, changed = take_in(id, due, src, again, by)
  if changed then
    accepted = accepted + 1
  elseif or_postpone and not seen[id] then
    local state, place, sends = standing(id)
    if state == 'done' then
      postpone(id, place, sends, due, by, word, ours, word)
      postponed, changed = postponed + 1, true
    end
  end
  seen[id] = true
  if not changed then
    duplicates = duplicates + 1
    if duplicates <= 100 then answer[#answer + 1] = id end
  end
  if set ~= '' then call('ZADD', set, n, id) end
end
if set ~= '' then call('EXPIRE', set, set_s) end
count_in(src, 'duplicate', duplicates + postponed)
count_in(src, 'invalid', invalid)
for i = 12, 11 + invalid do keep_invalid(ARGV[i]) end
answer[1], answer[2], answer[3] = accepted, duplicates, postponed
return answer
