-- @include common_intake
-- Takes inbox entries in: default delay, then entry, ID, due time and invalid line by turns. Only the process that
-- acknowledges an entry takes it in. Returns how many were accepted.
local key, later, src, accepted = P .. ':inbox', now + tonumber(ARGV[2]), source('inbox'), 0
for i = 3, #ARGV, 4 do
  if call('XACK', key, 'reaper', ARGV[i]) == 1 then
    call('XDEL', key, ARGV[i])
    if ARGV[i + 3] ~= '' then
      keep_invalid(ARGV[i + 3])
      count_in(src, 'invalid', 1)
    else
      local _, new = take_in(ARGV[i + 1], tonumber(ARGV[i + 2]) or later, src, '', '')
      if new then accepted = accepted + 1 else count_in(src, 'duplicate', 1) end
    end
  end
end
return accepted
