-- Returns the history: beginning of the first slot. Returns a slot, names and numbers for each that has any.
local found = {}
for slot = math.max(tonumber(ARGV[2]), math.floor((now - 86400) / 300) * 300), now, 300 do
  local flat = call('HGETALL', slot_key(slot))
  if #flat > 0 then found[#found + 1] = {slot, flat} end
end
return found
