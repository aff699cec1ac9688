-- Note which delivery it is of a message under suspicion. Told twice, it is counted once.
--
-- KEYS: counts (hash)
-- ARGV: the tag, the count

-- Taken out first: with its memory full, a server refuses to add anything before a script has taken something.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
