-- Put held messages back to where they are taken first.
--
-- KEYS: held (hash), leases (sorted set), counts (hash)
-- ARGV: '1' when this delivery is not to be counted, then the tags
-- Returns how many were put back.

local back = 0
for place = 2, #ARGV do
    local tag = ARGV[place]
    local entry = redis.call('HGET', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    if entry then
        local cut = string.find(entry, '\n', 1, true)
        redis.call('RPUSH', string.sub(entry, 1, cut - 1), string.sub(entry, cut + 1))
        redis.call('HDEL', KEYS[1], tag)
        if ARGV[1] == '1' and redis.call('HINCRBY', KEYS[3], tag, -1) <= 0 then redis.call('HDEL', KEYS[3], tag) end
        back = back + 1
    end
end
return back
