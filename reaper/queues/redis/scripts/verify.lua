-- Compares a page of an index with its rows: index, place after which it begins (score, n), limit. Returns how many
-- rows, the next place, how many contradict the index or themselves, how many outcomes lack a send that proves them.
local name, score, n, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local key = P .. ':' .. name
local from = seek(key, score, n)
local flat, wrong, unproven = call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES'), 0, 0
for i = 1, #flat, 2 do
  local at, r, ring = tonumber(flat[i + 1]), {}, 0
  local fields = call('HGETALL', row(id_of(flat[i])))
  for j = 1, #fields, 2 do
    r[fields[j]] = fields[j + 1]
    if string.match(fields[j], '^h%d+$') then ring = ring + 1 end
  end
  local function value(field) return tonumber(r[field] or 0) end
  local rec, good = value('rec'), true
  local function must(true_) good = good and true_ end
  must(r.n ~= nil and value('n') == place_of(flat[i]))
  must(value('att') >= 0 and value('att') <= rec and rec <= value('snd'))
  must(ring == math.min(rec, 20))
  must((r['until'] == nil) == (r.rcp == nil) and (r.out == nil) == (r.at == nil))
  if name == 'lease' then must(r.rcp ~= nil and value('until') == at) else must(r.rcp == nil) end
  if name == 'first' or name == 'retry' then
    must(value('due') == at and (value('snd') > 0) == (name == 'retry'))
  end
  if string.sub(name, 1, 4) == 'out:' then
    must(r.out == string.sub(name, 5) and value('at') == at)
  else
    must(r.out == nil)
  end
  if not good then wrong = wrong + 1 end
  local st, last = value('st'), string.match(r['h' .. ((rec - 1) % 20)] or '', ' (%d+)$')
  last = tonumber(last or 0)
  local final = last >= 200 and last <= 299 or last == 404 or last == 410
  -- A dead letter whose last answer was final: an exhausted ID that was settled without a send, or after a 204.
  if r.out == 'exhausted' and (last == 204 or r.st == nil and final)
    or r.out == 'forbidden' and r.st and last ~= 403
    or r.out == 'rejected' and r.st and (st ~= last or st < 400 or st > 499 or final) then
    unproven = unproven + 1
  end
  if r.out == 'stopped' or r.out == 'already_gone' then
    local says = r.out == 'stopped' and st >= 200 and st <= 299 or r.out == 'already_gone' and (st == 404 or st == 410)
    if not (rec > 0 and says and last == st) then unproven = unproven + 1 end
  end
end
return {#flat / 2, flat[#flat] or '', #flat > 0 and place_of(flat[#flat - 1]) or 0, wrong, unproven}
