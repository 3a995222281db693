-- Looks at a page of an index: its name, place after which the page begins (score, n), last score, limit, a text of the
-- source, whether only to count. Returns the next place ('' at the end), how many rows match, and these.
local name, limit, text, names, rows, matches = ARGV[2], tonumber(ARGV[6]), ARGV[7], {}, {}, 0
local key = P .. ':' .. name
local from, upto = seek(key, ARGV[3], ARGV[4]), ARGV[5] == 'inf' and math.huge or tonumber(ARGV[5])
local flat = call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES')
local score, n = '', 0
for i = 1, #flat, 2 do
  local at, id = tonumber(flat[i + 1]), id_of(flat[i])
  if at > upto then break end
  local src, source = call('HGET', row(id), 'src'), ''
  if src then
    names[src] = names[src] or call('HGET', P .. ':names', src) or ''
    source = names[src]
  end
  if text == '' or string.find(source, text, 1, true) then
    matches = matches + 1
    if ARGV[8] == '0' then rows[matches] = {id, exact(at), place_of(flat[i]), call('HGETALL', row(id)), source} end
  end
  if i == 2 * limit - 1 then score, n = exact(at), place_of(flat[i]) end
end
return {score, n, matches, rows}
