-- Take messages out of the queues and put them under a lease, in one step: nothing is ever only in a worker's memory.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash), then the queues, the first one first
-- ARGV: the worker, how many at most, lease in seconds, from which delivery on a message is under suspicion
-- Returns tag, queue, message, delivery count, history; again and again in one flat list.

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[3])
local left = tonumber(ARGV[2])
local suspect = tonumber(ARGV[4])
local taken = {}

for place = 5, #KEYS do
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
        redis.call('HSET', KEYS[1], tag, table.concat({ARGV[1], queue, message}, '\n'))
        redis.call('ZADD', KEYS[2], ends, tag)
        -- What is under suspicion is counted when it is tried: it may wait long for its turn, and die of others then.
        local count = tonumber(redis.call('HGET', KEYS[3], tag) or '0') + 1
        local history = ''
        if count < suspect then
            redis.call('HSET', KEYS[3], tag, count)
        else
            history = redis.call('HGET', KEYS[4], tag) or ''
        end
        for _, part in ipairs({tag, queue, message, count, history}) do taken[#taken + 1] = part end
        left = left - 1
    end
end
return taken
