-- Reads inbox entries: age in ms from which a read entry counts as abandoned, limit. First come the abandoned entries,
-- then new ones. An entry that was deleted before it was taken in is counted as lost.
local key, idle_ms, limit = P .. ':inbox', ARGV[2], tonumber(ARGV[3])
local function group(...)
  local answer = redis.pcall(...)
  if answer and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
    call('XGROUP', 'CREATE', key, 'reaper', '0', 'MKSTREAM')
    answer = call(...)
  elseif answer and answer.err then
    error(answer.err)
  end
  return answer
end
local entries, lost, cursor, holes = {}, 0, '0-0', false
repeat
  local answer = group('XAUTOCLAIM', key, 'reaper', 'reaper', idle_ms, cursor, 'COUNT', limit)
  cursor = answer[1]
  for i = 1, #answer[2] do
    local entry = answer[2][i]
    if entry and entry[2] then entries[#entries + 1] = entry else holes = true end
  end
  lost = lost + #(answer[3] or {})
until cursor == '0-0' or #entries >= limit
if holes then  -- before 7.0 the server keeps deleted entries in the list of pending ones
  for _, pending in ipairs(call('XPENDING', key, 'reaper', '-', '+', limit)) do
    if #call('XRANGE', key, pending[1], pending[1]) == 0 then
      lost = lost + call('XACK', key, 'reaper', pending[1])
    end
  end
end
count('inbox.lost', lost)
if #entries < limit then
  local new = group('XREADGROUP', 'GROUP', 'reaper', 'reaper', 'COUNT', limit - #entries, 'STREAMS', key, '>')
  for _, entry in ipairs(new and new[1] and new[1][2] or {}) do entries[#entries + 1] = entry end
end
return entries
