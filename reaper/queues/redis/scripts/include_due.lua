-- Adds a page of the open rows that are due or in flight, oldest due first, to a set: set, lifetime, limit of the set,
-- place after which the page begins (score, n), page size. Returns the set's size and the next place ('' at the end).
local set, set_s, limit, score, n, page = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6], tonumber(ARGV[7])
local size, found = call('ZCARD', set), {}
for _, name in ipairs({':first', ':retry', ':lease'}) do
  local from = seek(P .. name, score, n)
  local flat = call('ZRANGE', P .. name, from, from + page - 1, 'WITHSCORES')
  for i = 1, #flat, 2 do
    local at = tonumber(flat[i + 1])
    if at > now and name ~= ':lease' then break end
    found[#found + 1] = {at, flat[i]}
  end
end
table.sort(found, before)
local last = math.min(page, #found)
for i = 1, last do
  if limit and size >= limit then break end
  size = size + call('ZADD', set, place_of(found[i][2]), id_of(found[i][2]))
end
call('EXPIRE', set, set_s)
local more = last == page and not (limit and size >= limit)
return {size, more and exact(found[last][1]) or '', more and place_of(found[last][2]) or 0}
