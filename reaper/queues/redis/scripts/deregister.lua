-- Removes an owner: owner, whether it has claimed, its sets. `maintain` releases what it holds.
call('HDEL', P .. ':reapers', ARGV[2])
call('ZREM', P .. ':told', ARGV[2])
if ARGV[3] == '1' then call('SADD', P .. ':gone', ARGV[2]) end
call('DEL', P .. ':done:' .. ARGV[2])
for i = 4, #ARGV do call('DEL', ARGV[i]) end
