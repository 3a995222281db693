-- Applies results: owner, number of this batch, number of the last one answered, receipts kept, their lifetime, then 20
-- values a result. Returns 1 or 0 for each. A receipt is remembered until the process says that the answer arrived: an
-- apply whose answer was lost is repeated, and then good, whatever became of the row meanwhile.
local done, nth, keep, keep_s = P .. ':done:' .. ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local answer, carried = {}, {}
call('ZREMRANGEBYSCORE', done, ARGV[4], ARGV[4])
for i = 7, #ARGV, 20 do
  local id, receipt, sent = ARGV[i], ARGV[i + 1], ARGV[i + 2] == '1'
  local att, snd, rec, amb, after = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local slot, h, e, q = ARGV[i + 8], ARGV[i + 9], ARGV[i + 10], ARGV[i + 11]
  local r, good = call('HMGET', row(id), 'rcp', 'n', 'fb', 'due', 'cby', 'cwhy', 'fd'), 0
  if r[1] == receipt then
    good = 1
    local o = i + (r[5] and 16 or 12)
    local out, st, det, counts = ARGV[o], ARGV[o + 1], ARGV[o + 2], ARGV[o + 3]
    local set, m = {'att', att, 'snd', snd, 'rec', rec}, member(r[2], id)
    local function put(name, value) set[#set + 1], set[#set + 2] = name, value end
    call('ZREM', P .. ':lease', m)
    call('HDEL', row(id), 'rcp', 'until', 'fb')
    if out ~= 'already_gone' then call('HDEL', row(id), 'cby', 'cwhy') end
    if sent then
      put('h' .. slot, h)
      call('HDEL', row(id), 'e' .. slot, 'q' .. slot)
      if e ~= '' then put('e' .. slot, e) end
      if q ~= '' then put('q' .. slot, q) end
    end
    if out == '' then
      if amb == '1' then put('amb', 1) end
      if not sent then put('fs', r[3]) end
      local due = after == '' and tonumber(r[4]) or now + tonumber(after)
      put('due', exact(due))
      if after ~= '' and not r[7] then put('fd', r[4]) end
      wait(id, r[2], snd, due)
    else
      put('out', out)
      put('at', exact(now))
      if st ~= '' then put('st', st) end
      if det ~= '' then put('det', det) end
      if out == 'cancelled' and r[5] then
        put('by', r[5])
        put('why', r[6])
      end
      call('HDEL', row(id), 'amb', 'fs')
      call('ZADD', P .. ':out:' .. out, exact(now), m)
      remember(out, out ~= 'cancelled' and tonumber(r[7] or r[4]))
      for name in string.gmatch(counts, '[^,]+') do count(name, 1) end
    end
    if r[5] then call('SREM', P .. ':wishes', id) end
    call('HSET', row(id), unpack(set))
  elseif call('ZSCORE', done, receipt) then
    good = 1
  end
  if good == 1 then carried[#carried + 1], carried[#carried + 2] = nth, receipt end
  answer[#answer + 1] = good
end
write_past()
if #carried > 0 then
  call('ZADD', done, unpack(carried))
  call('ZREMRANGEBYRANK', done, 0, -keep - 1)
  call('EXPIRE', done, keep_s)
end
return answer
