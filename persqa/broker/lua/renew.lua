-- Renew leases; one without a held message, which is settled, has run out or was forgotten, is not brought back.
--
-- KEYS: held (hash), leases (sorted set)
-- ARGV: lease in seconds, then the tags
-- Returns the tags without a held message.

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[1])
local unknown = {}
for place = 2, #ARGV do
    -- Removed first: a server whose memory is full lets a script add something only after it has removed something.
    redis.call('ZREM', KEYS[2], ARGV[place])
    if redis.call('HEXISTS', KEYS[1], ARGV[place]) == 1 then
        redis.call('ZADD', KEYS[2], ends, ARGV[place])
    else
        unknown[#unknown + 1] = ARGV[place]
    end
end
return unknown
