-- Put messages back whose lease has run out: their worker is gone, or stands still.
--
-- KEYS: held (hash), leases (sorted set), counts (hash)
-- ARGV: how many at most
-- Returns their tags.

local now = redis.call('TIME')
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now[1] + now[2] / 1000000, 'LIMIT', 0, tonumber(ARGV[1]))
local counts = {}
for _, tag in ipairs(tags) do
    counts[tag] = tonumber(redis.call('HGET', KEYS[3], tag) or '0')
end
-- What is put back last is taken first: that is to be the least suspect, and not what workers have just died of.
table.sort(tags, function(one, other) return counts[one] > counts[other] end)
for _, tag in ipairs(tags) do
    local entry = redis.call('HGET', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    if entry then
        local cut = string.find(entry, '\n', 1, true)
        redis.call('RPUSH', string.sub(entry, 1, cut - 1), string.sub(entry, cut + 1))
        redis.call('HDEL', KEYS[1], tag)
    end
end
return tags
