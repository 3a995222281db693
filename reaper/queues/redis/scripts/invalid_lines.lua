-- Returns the rejected lines that are kept, the newest first.
return call('LRANGE', P .. ':lines', 0, -1)
