-- ARGV[4] lease_ms. 1: the lease begins anew. 0: the lock is not the owner's any more.

if not is_mine() then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
