-- Creates the queue if a schema version is given and there is none: schema version, identity. Returns both as they are
-- now, whether this script created the queue, and the time.
local meta, begun = P .. ':meta', 0
if ARGV[2] ~= '' and not call('HGET', meta, 'schema') then
  call('HSET', meta, 'schema', ARGV[2], 'identity', ARGV[3])
  begun = 1
end
local found = call('HMGET', meta, 'schema', 'identity')
return {found[1], found[2], begun, exact(now)}
