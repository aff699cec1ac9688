-- Remove one run's messages from a part of a queue, or move them in order to the left end of another queue.
-- Nothing is popped, so a producer's account, which may not pop, can do this.
--
-- KEYS: the queue, its turns (sorted set), and the same of the queue to move them to, if any
-- ARGV: the ledger and the run with a hyphen between, the first place, counted from the left from 0, the number of places,
-- then counts and histories (hashes). Those two are no KEYS, because an account may do less with them than with queues.
-- Returns how many messages of the run it found.

local first = tonumber(ARGV[2])
local messages = redis.call('LRANGE', KEYS[1], first, first + tonumber(ARGV[3]) - 1)
-- A task's id is that and ten digits. Reading every message as JSON would take most of the time.
local own = '"id": "' .. string.gsub(ARGV[1], '%-', '%%-') .. string.rep('%d', 10) .. '"'
-- A placeholder that exists only inside this script.
local gone = 'persqa:withdrawn'

-- A server whose memory is full lets a script add or replace something only after it has removed something. This
-- removes nothing, but counts.
redis.call('LTRIM', KEYS[1], 0, -1)
local length = redis.call('LLEN', KEYS[1])
-- Counted from the nearer end, since an older Redis walks from the end that is given.
local right = 2 * first > length
local removed = 0
-- From the right, where the oldest message is.
for place = #messages, 1, -1 do
    local message = messages[place]
    if string.find(message, own) then
        local readable, content = pcall(cjson.decode, message)
        local headers = readable and type(content) == 'table' and content.headers
        local id = type(headers) == 'table' and headers.id
        if type(id) == 'string' and string.find('"id": "' .. id .. '"', own) == 1 then
            redis.call('LSET', KEYS[1], first + place - 1 - (right and length or 0), gone)
            local tag = type(content.properties) == 'table' and content.properties.delivery_tag
            if KEYS[3] then
                redis.call('LPUSH', KEYS[3], message)
            elseif type(tag) == 'string' then
                redis.call('HDEL', ARGV[4], tag)
                redis.call('HDEL', ARGV[5], tag)
            end
            removed = removed + 1
        end
    end
end
if removed > 0 then
    redis.call('LREM', KEYS[1], right and -removed or removed, gone)
    -- A queue of a run takes turns as long as it has messages.
    if redis.call('LLEN', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], KEYS[1]) end
    if KEYS[3] and string.find(KEYS[3], ':run:%x+:%d+$') then redis.call('ZADD', KEYS[4], 'NX', 0, KEYS[3]) end
end
return removed
