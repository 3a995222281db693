-- Returns owner, time and text of each heartbeat that is no older than the seconds given.
local answer = {}
local flat = call('ZRANGEBYSCORE', P .. ':told', exact(now - tonumber(ARGV[2])), '+inf', 'WITHSCORES')
for i = 1, #flat, 2 do
  local written = call('HGET', P .. ':reapers', flat[i])
  if written then answer[#answer + 1] = {flat[i], flat[i + 1], written} end
end
return answer
