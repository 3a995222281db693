-- Stores a heartbeat: owner, text.
call('HSET', P .. ':reapers', ARGV[2], ARGV[3])
call('ZADD', P .. ':told', exact(now), ARGV[2])
