-- Take one run's messages out of a part of a queue, or move them to the left end of another queue in their order.
-- All or nothing, like every script. Nothing is popped: whoever may only put messages in is able to do this, too.
--
-- KEYS: the queue, and if they are to be moved, where to
-- ARGV: the run, the first place to look at, counted from the left from 0, how many places
-- Returns how many messages of the run there were.

local first = tonumber(ARGV[2])
local messages = redis.call('LRANGE', KEYS[1], first, first + tonumber(ARGV[3]) - 1)
-- An item's id is the run's and ten digits. Reading every message as JSON would take most of the time.
local own = '"id": "' .. ARGV[1] .. string.rep('%d', 10) .. '"'
-- Not a message; nobody ever sees it.
local gone = 'persqa:withdrawn'

-- With its memory full, a server refuses to add or replace anything before a script has taken something. This takes
-- nothing, and counts as if it did.
redis.call('LTRIM', KEYS[1], 0, -1)
local length = redis.call('LLEN', KEYS[1])
-- Counted from the nearer end: an older Redis walks from the end that is named, however far that is.
local right = 2 * first > length
local removed = 0
-- From the right: what was enqueued first goes first.
for place = #messages, 1, -1 do
    local message = messages[place]
    if string.find(message, own) then
        local readable, content = pcall(cjson.decode, message)
        local headers = readable and type(content) == 'table' and content.headers
        local id = type(headers) == 'table' and headers.id
        if type(id) == 'string' and string.find('"id": "' .. id .. '"', own) == 1 then
            redis.call('LSET', KEYS[1], first + place - 1 - (right and length or 0), gone)
            if KEYS[2] then redis.call('LPUSH', KEYS[2], message) end
            removed = removed + 1
        end
    end
end
if removed > 0 then
    redis.call('LREM', KEYS[1], right and -removed or removed, gone)
end
return removed
