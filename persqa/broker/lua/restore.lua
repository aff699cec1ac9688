-- Hold messages again that the server has forgotten, such as by an eviction or FLUSHALL; the counts stay as they are.
--
-- KEYS: held (hash), leases (sorted set)
-- ARGV: the holder, lease in seconds, then tag, queue and message of each

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[2])
for place = 3, #ARGV, 3 do
    local tag = ARGV[place]
    if redis.call('HEXISTS', KEYS[1], tag) == 0 then
        -- Removed first: a server whose memory is full lets a script add something only after it has removed something.
        redis.call('ZREM', KEYS[2], tag)
        redis.call('HSET', KEYS[1], tag, table.concat({ARGV[1], ARGV[place + 1], ARGV[place + 2]}, '\n'))
        redis.call('ZADD', KEYS[2], ends, tag)
    end
end
