-- @include common_intake
-- Adds a batch: again, by, default delay, set, its lifetime, source, number of invalid lines, those, then ID and due
-- time by turns. Returns how many were accepted, how many duplicates, and the first 100 duplicates.
local again, by, later, set, set_s = ARGV[2] == '1', ARGV[3], now + tonumber(ARGV[4]), ARGV[5], ARGV[6]
local src, invalid = source(ARGV[7]), tonumber(ARGV[8])
local accepted, duplicates, answer = 0, 0, {0, 0}
for i = 9 + invalid, #ARGV, 2 do
  local id, due = ARGV[i], tonumber(ARGV[i + 1]) or later
  local n, new = take_in(id, due, src, again, by)
  if new then
    accepted = accepted + 1
  else
    duplicates = duplicates + 1
    if duplicates <= 100 then answer[#answer + 1] = id end
  end
  if set ~= '' then call('ZADD', set, n, id) end
end
if set ~= '' then call('EXPIRE', set, set_s) end
count_in(src, 'duplicate', duplicates)
count_in(src, 'invalid', invalid)
for i = 9, 8 + invalid do keep_invalid(ARGV[i]) end
answer[1], answer[2] = accepted, duplicates
return answer
