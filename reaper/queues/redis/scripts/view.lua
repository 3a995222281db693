-- Counts a page of a set by state and outcome: set, lifetime, place after which it begins, limit, and an instant: if it
-- is not '', only what was settled before it counts. Returns the next place ('' at the end), and names, numbers and the
-- first due time by turns.
local set, set_s, after, limit, counts, first, answer = ARGV[2], ARGV[3], ARGV[4], ARGV[5], {}, {}, {}
local cutoff = tonumber(ARGV[6])
call('EXPIRE', set, set_s)
local flat = call('ZRANGEBYSCORE', set, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #flat, 2 do
  local r, state = call('HMGET', row(flat[i]), 'n', 'out', 'due', 'until', 'snd', 'at'), nil
  if r[2] then
    state = (not cutoff or tonumber(r[6]) < cutoff) and r[2] or nil
  elseif cutoff then
    state = nil
  elseif r[1] and tonumber(r[4] or r[3]) <= now then
    state = '+ready'
  elseif r[1] then
    state = r[4] and '+in_flight' or tonumber(r[5] or 0) > 0 and '+retrying' or '+scheduled'
  end
  if state then
    counts[state] = (counts[state] or 0) + 1
    first[state] = math.min(first[state] or math.huge, tonumber(r[4] or r[3] or now))
  end
end
for state, number in pairs(counts) do
  answer[#answer + 1] = state
  answer[#answer + 1] = number
  answer[#answer + 1] = exact(first[state])
end
return {#flat > 0 and flat[#flat] or '', answer}
