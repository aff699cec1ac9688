-- Put held messages back to the front of their queues; one that another worker holds by now stays there.
--
-- KEYS: held (hash), leases (sorted set), counts (hash)
-- ARGV: the holder, '1' if this delivery does not count, then what is added to the queues' names, then the tags
-- Returns how many were put back.

-- A queue of a run is among those that take turns again.
local function push(queue, message)
    redis.call('RPUSH', queue, message)
    local base = string.match(queue, '^(.+):run:%x+:%d+$')
    if base then redis.call('ZADD', base .. ':runs', 'NX', 0, queue) end
end

local function plain(queue)
    return (string.gsub(string.gsub(queue, ':ledger:%x+$', ''), ':run:%x+:%d+$', ''))
end

local back = 0
for place = 4, #ARGV do
    local tag = ARGV[place]
    local holder, queue, message = string.match(redis.call('HGET', KEYS[1], tag) or '', '^([^\n]*)\n([^\n]*)\n(.*)$')
    if holder == ARGV[1] then
        redis.call('ZREM', KEYS[2], tag)
        push(ARGV[3] == '' and queue or plain(queue) .. ARGV[3], message)
        redis.call('HDEL', KEYS[1], tag)
        if ARGV[2] == '1' and redis.call('HINCRBY', KEYS[3], tag, -1) <= 0 then redis.call('HDEL', KEYS[3], tag) end
        back = back + 1
    end
end
return back
