-- Compares and sets a value: name, whether one is expected, that one, whether one is to be written, that one. The flags
-- distinguish no value from an empty one. Returns 1 if the value was as expected.
local key, name = P .. ':notes', ARGV[2]
if call('HGET', key, name) ~= (ARGV[3] == '1' and ARGV[4]) then return 0 end
if ARGV[5] == '1' then call('HSET', key, name, ARGV[6]) else call('HDEL', key, name) end
return 1
