-- Set the delivery count of a message under suspicion. Safe to repeat.
--
-- KEYS: counts (hash)
-- ARGV: the tag, the count

-- Removed first: a server whose memory is full lets a script add something only after it has removed something.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
