-- Take messages out of the queues and put them under a lease, in one step: nothing is ever only in a worker's memory.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), then the queues, the first one first
-- ARGV: how many at most, lease in seconds, from which delivery on a message is under suspicion
-- Returns tag, queue, message, delivery count; again and again in one flat list.

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[2])
local left = tonumber(ARGV[1])
local taken = {}

for place = 4, #KEYS do
    local queue = KEYS[place]
    while left > 0 do
        local message = redis.call('RPOP', queue)
        if not message then break end
        local readable, content = pcall(cjson.decode, message)
        local tag = readable and type(content) == 'table' and type(content.properties) == 'table'
            and content.properties.delivery_tag
        if type(tag) ~= 'string' then
            -- Not a message of Celery: the worker will say so where people look, and until then it is held as any other.
            tag = table.concat({'unreadable', now[1], now[2], left}, '-')
        end
        redis.call('HSET', KEYS[1], tag, queue .. '\n' .. message)
        redis.call('ZADD', KEYS[2], ends, tag)
        -- What is under suspicion is counted when it is tried: it may wait long for its turn, and die of others then.
        local count = tonumber(redis.call('HGET', KEYS[3], tag) or '0') + 1
        if count < tonumber(ARGV[3]) then redis.call('HSET', KEYS[3], tag, count) end
        taken[#taken + 1] = tag
        taken[#taken + 1] = queue
        taken[#taken + 1] = message
        taken[#taken + 1] = count
        left = left - 1
    end
end
return taken
