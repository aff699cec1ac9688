-- Renew leases; one that is settled or has run out is not brought back.
--
-- KEYS: leases (sorted set)
-- ARGV: lease in seconds, then the tags
-- Returns how many were renewed.

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[1])
local renewed = 0
for place = 2, #ARGV do
    -- Removed first: a server whose memory is full lets a script add something only after it has removed something.
    if redis.call('ZREM', KEYS[1], ARGV[place]) == 1 then
        redis.call('ZADD', KEYS[1], ends, ARGV[place])
        renewed = renewed + 1
    end
end
return renewed
