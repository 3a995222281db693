-- Creates the queue if a schema version is given and there is none, and migrates an older one if another is: schema
-- version to create, identity, schema version to migrate to. Returns schema version and identity as they are now,
-- whether this script created the queue, and the time.
local meta, begun = P .. ':meta', 0
if ARGV[2] ~= '' and not call('HGET', meta, 'schema') then
  call('HSET', meta, 'schema', ARGV[2], 'queue', ARGV[3])
  begun = 1
end
if ARGV[4] ~= '' and call('HGET', meta, 'schema') == '1' then
  -- Scripts of schema 1 compare `identity` at each call: a reaper that runs them ends with the next.
  call('HSET', meta, 'schema', ARGV[4], 'queue', call('HGET', meta, 'identity'), 'identity', 'migrated')
end
if ARGV[4] ~= '' and call('HGET', meta, 'schema') == '2' then call('HSET', meta, 'schema', ARGV[4]) end
local found = call('HMGET', meta, 'schema', 'queue', 'identity')
return {found[1], found[2] or found[3], begun, exact(now)}
