-- Put messages back whose lease has run out: their worker is gone, or hangs.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash)
-- ARGV: most messages, longest history in characters
-- Returns their tags.

local now = redis.call('TIME')
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now[1] + now[2] / 1000000, 'LIMIT', 0, tonumber(ARGV[1]))
local counts = {}
for _, tag in ipairs(tags) do
    counts[tag] = tonumber(redis.call('HGET', KEYS[3], tag) or '0')
end
-- The last one put back is taken first; so the least suspect is last, and not one that workers have just died of.
table.sort(tags, function(one, other) return counts[one] > counts[other] end)
for _, tag in ipairs(tags) do
    local entry = redis.call('HGET', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    if entry then
        local worker, queue, message = string.match(entry, '^([^\n]*)\n([^\n]*)\n(.*)$')
        redis.call('RPUSH', queue, message)
        redis.call('HDEL', KEYS[1], tag)
        local history = redis.call('HGET', KEYS[4], tag) or ''
        if #history < tonumber(ARGV[2]) then
            redis.call('HSET', KEYS[4], tag, history .. worker .. ' ' .. now[1] .. '\n')
        end
    end
end
return tags
