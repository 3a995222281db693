-- Calls each command that the scripts call, on a key of its own that is empty before and after. Returns the schema, ''
-- without a queue, then the names of the commands that this user may not call.
local key, refused, fault = P .. ':probe', {}, nil
local function try(name, ...)
  local answer = redis.pcall(name, ...)
  local text = type(answer) == 'table' and answer.err
  if not text then return end
  for _, words in ipairs({'NOPERM', "can't run this command", 'has no permissions'}) do
    if string.find(text, words, 1, true) then
      refused[#refused + 1] = string.lower(name)
      return
    end
  end
  if not (string.find(text, 'WRONGTYPE', 1, true) or string.find(text, 'NOGROUP', 1, true)) then
    fault = fault or answer
  end
end
-- First: a server that is out of memory refuses it, but nothing after a first write. Without DEL it ends by itself.
try('SET', key, '1', 'PX', 60000)
try('GET', key)
try('EXPIRE', key, 60)
try('DEL', key)
try('HSET', key, 'a', '1')
try('HINCRBY', key, 'a', 1)
for _, name in ipairs({'HGET', 'HMGET', 'HEXISTS', 'HDEL'}) do try(name, key, 'a') end
for _, name in ipairs({'HGETALL', 'HVALS'}) do try(name, key) end
redis.pcall('DEL', key)
try('ZADD', key, 1, 'a')
try('ZCARD', key)
for _, name in ipairs({'ZCOUNT', 'ZRANGEBYSCORE', 'ZREMRANGEBYSCORE'}) do try(name, key, 2, 3) end
for _, name in ipairs({'ZRANGE', 'ZREMRANGEBYRANK'}) do try(name, key, 2, 3) end
for _, name in ipairs({'ZSCORE', 'ZMSCORE', 'ZREM'}) do try(name, key, 'a') end
redis.pcall('DEL', key)
try('SADD', key, 'a')
try('SMEMBERS', key)
try('SREM', key, 'a')
redis.pcall('DEL', key)
try('LPUSH', key, 'a')
try('LRANGE', key, 0, 0)
try('LTRIM', key, 0, 0)
redis.pcall('DEL', key)
try('XGROUP', 'CREATE', key, 'g', '0', 'MKSTREAM')
try('XLEN', key)
try('XRANGE', key, '-', '+', 'COUNT', 1)
try('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', key, '>')
try('XAUTOCLAIM', key, 'g', 'c', 0, '0')
try('XPENDING', key, 'g')
try('XACK', key, 'g', '0-1')
try('XDEL', key, '0-1')
redis.pcall('DEL', key)
if fault then return fault end
return {redis.pcall('HGET', P .. ':meta', 'schema') or '', unpack(refused)}
