-- Returns the outcome of each ID: '' while open, nil for one without a row.
local found = {}
for i = 2, #ARGV do
  local fields = call('HMGET', row(ARGV[i]), 'n', 'out')
  found[i - 1] = fields[1] and (fields[2] or '')
end
return found
