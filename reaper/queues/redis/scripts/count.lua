-- Counts the rows of an index: its name, first and last score.
return call('ZCOUNT', P .. ':' .. ARGV[2], ARGV[3], ARGV[4])
