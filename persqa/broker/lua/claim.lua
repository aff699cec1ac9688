-- Move messages from the queues under a lease, in one step, so that none is ever only in a worker's memory.
--
-- Runs that grow have queues of their own beside a queue. Its sorted set of turns has those with messages, and the one
-- whose turn is next has the lowest score. Each gets an equal part, and goes to the end. A queue that is found empty
-- leaves the set, and not before its turn: it would come back as one that nobody has served, and so come first each time.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash), then the queues, the first one first
-- ARGV: the holder, most messages, lease in seconds, first delivery under suspicion, the worker's ledger
-- Returns tag, queue, message, delivery count and history of each message, in one flat list.

local now = redis.call('TIME')
local ends = now[1] + now[2] / 1000000 + tonumber(ARGV[3])
local left = tonumber(ARGV[2])
local suspect = tonumber(ARGV[4])
local taken = {}

-- Take so many messages from one queue, or all.
local function take(queue, most)
    for _ = 1, most do
        local message = redis.call('RPOP', queue)
        if not message then return end
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

-- Those whose turn is next, as many as get a message each; those that are found empty on the way leave the set.
local function next_ones(queue, turns)
    local found = {}
    while #found < left do
        local some = redis.call('ZRANGE', turns, #found, #found + math.max(left - #found, 100) - 1)
        if #some == 0 then break end
        local empty = {}
        for _, one in ipairs(some) do
            if #found == left then break end
            local ledger = string.match(one, ':run:(%x+):%d+$')
            if ledger and ARGV[5] ~= '' and ledger ~= ARGV[5] then
                -- Its messages stay where they are: its own workers take turns there, too.
                redis.call('ZREM', turns, one)
                redis.call('ZADD', table.concat({queue, ':ledger:', ledger, ':runs'}), 'NX', 0, one)
            elseif redis.call('LLEN', one) == 0 then
                empty[#empty + 1] = one
            else
                found[#found + 1] = one
            end
        end
        if #empty > 0 then redis.call('ZREM', turns, unpack(empty)) end
    end
    return found
end

-- Take messages from a queue and from those of the runs beside it, in turns.
local function take_turns(queue, turns)
    -- Removes nothing, but counts: a server whose memory is full lets a script add something only after it has.
    redis.call('ZREM', turns, '')
    local turn = tonumber(redis.call('ZRANGE', turns, -1, -1, 'WITHSCORES')[2] or '0') + 1
    redis.call('ZADD', turns, 'NX', turn, queue)
    while left > 0 do
        local ones = next_ones(queue, turns)
        if #ones == 0 then break end
        local served = {}
        for place, one in ipairs(ones) do
            take(one, math.floor(left / (#ones - place + 1)))
            turn = turn + 1
            served[#served + 1] = turn
            served[#served + 1] = one
        end
        redis.call('ZADD', turns, unpack(served))
    end
    -- Who is next and empty, or alone, would come first in any case.
    local first = redis.call('ZRANGE', turns, 0, 0)[1]
    while first and redis.call('LLEN', first) == 0 do
        redis.call('ZREM', turns, first)
        first = redis.call('ZRANGE', turns, 0, 0)[1]
    end
    if first == queue and redis.call('ZCARD', turns) == 1 then redis.call('ZREM', turns, queue) end
end

local turns, any = {}, false
for place = 5, #KEYS do turns[#turns + 1] = KEYS[place] .. ':runs' end
if #turns > 0 then any = redis.call('EXISTS', unpack(turns)) > 0 end
for place = 5, #KEYS do
    if left <= 0 then break end
    if any and redis.call('EXISTS', turns[place - 4]) == 1 then
        take_turns(KEYS[place], turns[place - 4])
    else
        take(KEYS[place], left)
    end
end
return taken
