-- Move messages from the queues under a lease, in one step, so that none is ever only in a worker's memory.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash), then the queues, the first one first
-- ARGV: the holder, most messages, lease in seconds, first delivery under suspicion
-- Returns tag, queue, message, delivery count and history of each message, in one flat list.

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
            -- Not a message of Celery: it is held like any other, and the worker makes a dead letter of it.
            tag = table.concat({'unreadable', now[1], now[2], left}, '-')
        end
        redis.call('HSET', KEYS[1], tag, table.concat({ARGV[1], queue, message}, '\n'))
        redis.call('ZADD', KEYS[2], ends, tag)
        -- A message under suspicion is counted when it is tried: its worker may die of others while it waits.
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
