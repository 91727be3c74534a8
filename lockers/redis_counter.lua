-- Repairs the counter toward the storage, under the lock.
-- ARGV[4] the number that the storage has come to. How many repairs there were; -1: the lock is
-- not the owner's any more.

if not is_mine() then
  return -1
end
redis.call('SET', KEYS[4], ARGV[4])
return redis.call('HINCRBY', KEYS[5], 'counter_repairs', 1)
