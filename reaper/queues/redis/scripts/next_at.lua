-- Returns when the next open row can be claimed ('' for never), and the length of the inbox.
local found = {}
for _, name in ipairs({':first', ':retry', ':lease'}) do
  local first = call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')
  if first[2] then found[#found + 1] = tonumber(first[2]) end
end
return {#found > 0 and exact(math.min(unpack(found))) or '', call('XLEN', P .. ':inbox')}
