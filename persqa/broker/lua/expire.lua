-- Put messages back whose lease has run out: their worker is gone, or hangs. First mend leases that say something else
-- than how long ago their worker renewed them, because keys were lost or the clock was set.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash)
-- ARGV: most messages, longest history in characters, the caller's lease in seconds, and, if it knows, the latest time
--   that it can be by the caller's own clock
-- Returns the time, and the tags that were put back.

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local most, lease, latest = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- Worker, its lease in seconds, queue and message of a held message; no message for what is no entry of a claim.
local function held(tag)
    local entry = redis.call('HGET', KEYS[1], tag) or ''
    local holder, queue, message = string.match(entry, '^([^\n]*)\n([^\n]+)\n(.*)$')
    local worker, seconds = string.match(holder or '', '^(.*) (%S+)$')
    return worker or holder, tonumber(seconds or '') or lease, queue, message
end

local function renew(tag, seconds)
    -- Removed first: a server whose memory is full lets a script add something only after it has removed something.
    redis.call('ZREM', KEYS[2], tag)
    redis.call('ZADD', KEYS[2], now + seconds, tag)
end

-- Leases were lost, and what they were for was not.
if redis.call('HLEN', KEYS[1]) ~= redis.call('ZCARD', KEYS[2]) then
    for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
        if not redis.call('ZSCORE', KEYS[2], tag) then
            local _, seconds = held(tag)
            renew(tag, seconds)
        end
    end
end

local soon = string.format('(%.6f', now + lease)
-- The clock was set forward, so that leases seem to have run out: their workers get the time to renew them.
if latest and now > latest then
    for _, tag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', soon)) do renew(tag, lease) end
end

-- The clock was set back, so that leases would last for longer than any worker asked for.
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], soon, '+inf', 'LIMIT', 0, most)) do
    local _, seconds, _, message = held(tag)
    if not message then
        redis.call('ZREM', KEYS[2], tag)
    elseif tonumber(redis.call('ZSCORE', KEYS[2], tag)) > now + seconds then
        renew(tag, seconds)
    end
end

local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)
local counts = {}
for _, tag in ipairs(tags) do
    counts[tag] = tonumber(redis.call('HGET', KEYS[3], tag) or '0')
end
-- The last one put back is taken first; so the least suspect is last, and not one that workers have just died of.
table.sort(tags, function(one, other) return counts[one] > counts[other] end)
for _, tag in ipairs(tags) do
    local worker, _, queue, message = held(tag)
    redis.call('ZREM', KEYS[2], tag)
    if message then
        redis.call('RPUSH', queue, message)
        -- A queue of a run is among those that take turns again.
        local base = string.match(queue, '^(.+):run:%x+:%d+$')
        if base then redis.call('ZADD', base .. ':runs', 'NX', 0, queue) end
    end
    redis.call('HDEL', KEYS[1], tag)
    local history = redis.call('HGET', KEYS[4], tag) or ''
    if message and #history < tonumber(ARGV[2]) then
        redis.call('HSET', KEYS[4], tag, history .. worker .. ' ' .. time[1] .. '\n')
    end
end
return {string.format('%.6f', now), tags}
