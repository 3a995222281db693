-- Returns owner, number of leases in force and the end of the last of them, for each process that holds any. A receipt
-- has the random part of its owner's name; the whole name is that of the heartbeat, for as long as one is kept.
local held, order, whole = {}, {}, {}
for _, owner in ipairs(call('ZRANGE', P .. ':told', 0, -1)) do whole[string.match(owner, '^[^@]+')] = owner end
local flat = call('ZRANGEBYSCORE', P .. ':lease', '(' .. exact(now), '+inf', 'WITHSCORES')
for i = 1, #flat, 2 do
  local receipt = call('HGET', row(id_of(flat[i])), 'rcp')
  local short = receipt and string.match(receipt, '^[^.]+')
  if short then
    if not held[short] then
      held[short] = {whole[short] or short, 0}
      order[#order + 1] = short
    end
    held[short][2], held[short][3] = held[short][2] + 1, flat[i + 1]
  end
end
local answer = {}
for i, short in ipairs(order) do answer[i] = held[short] end
return answer
