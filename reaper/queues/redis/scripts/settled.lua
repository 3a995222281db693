-- Returns a page of settled rows, oldest settled first: place after which it begins (score, n), limit, outcomes.
local score, n, limit, found, rows = ARGV[2], ARGV[3], tonumber(ARGV[4]), {}, {}
for i = 5, #ARGV do
  local key = P .. ':out:' .. ARGV[i]
  local from = seek(key, score, n)
  local flat = call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES')
  for j = 1, #flat, 2 do found[#found + 1] = {tonumber(flat[j + 1]), flat[j]} end
end
table.sort(found, before)
local names = {}
for i = 1, math.min(limit, #found) do
  local id = id_of(found[i][2])
  local fields = call('HGETALL', row(id))
  local src = call('HGET', row(id), 'src')
  if src and names[src] == nil then names[src] = call('HGET', P .. ':names', src) or '' end
  rows[i] = {id, exact(found[i][1]), place_of(found[i][2]), fields, src and names[src] or ''}
end
return {exact(now), rows}
