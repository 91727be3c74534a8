-- A waiter goes: out of the queue, and gives back what it was handed at the last moment.
-- ARGV[4] its member of the queue. 1.

redis.call('ZREM', KEYS[2], ARGV[4])
if is_mine() then
  redis.call('DEL', KEYS[1])
  redis.call('DECRBY', KEYS[4], string.match(ARGV[4], '^[^|]*|[^|]*|%d+|(%d+)|'))
  if not pcall(give_next) then
    redis.call('DEL', KEYS[1])
  end
end
return 1
