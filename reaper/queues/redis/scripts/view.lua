-- Counts a page of a set by state and outcome: set, lifetime, place after which it begins, limit. Returns the next
-- place ('' at the end) and names and numbers by turns.
local set, set_s, after, limit, counts, answer = ARGV[2], ARGV[3], ARGV[4], ARGV[5], {}, {}
call('EXPIRE', set, set_s)
local flat = call('ZRANGEBYSCORE', set, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #flat, 2 do
  local r, state = call('HMGET', row(flat[i]), 'n', 'out', 'due', 'until', 'snd'), nil
  if r[2] then
    state = r[2]
  elseif r[1] and tonumber(r[4] or r[3]) <= now then
    state = '+ready'
  elseif r[1] then
    state = r[4] and '+in_flight' or tonumber(r[5] or 0) > 0 and '+retrying' or '+delayed'
  end
  if state then counts[state] = (counts[state] or 0) + 1 end
end
for state, number in pairs(counts) do
  answer[#answer + 1] = state
  answer[#answer + 1] = number
end
return {#flat > 0 and flat[#flat] or '', answer}
