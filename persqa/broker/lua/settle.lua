-- Remove messages for good. Not a transaction: a Redis 6 whose memory is full refuses all of these.
--
-- KEYS: held (hash), leases (sorted set), counts (hash), histories (hash)
-- ARGV: the tags

for _, tag in ipairs(ARGV) do
    redis.call('HDEL', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    redis.call('HDEL', KEYS[3], tag)
    redis.call('HDEL', KEYS[4], tag)
end
