-- Deletes the rows that have one of the outcomes: outcomes, IDs. Returns how many.
local purged = 0
for i = 3, #ARGV do
  local r = call('HMGET', row(ARGV[i]), 'n', 'out')
  if r[2] and string.find(ARGV[2], ',' .. r[2] .. ',', 1, true) then
    call('ZREM', P .. ':out:' .. r[2], member(r[1], ARGV[i]))
    call('DEL', row(ARGV[i]))
    count('pruned.' .. r[2], 1)
    purged = purged + 1
  end
end
return purged
