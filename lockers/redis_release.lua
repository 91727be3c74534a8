-- Ends the owner's grant, tells the counter the storage's head, and hands the lock over.
-- ARGV[4] head ("0": unknown). 1: it was held until now. 0: it had been lost.

if not is_mine() then
  return 0
end
if ARGV[4] ~= '0' then
  redis.call('SET', KEYS[4], ARGV[4])
end
redis.call('DEL', KEYS[1])
if not pcall(give_next) then -- without memory for it: whoever waits asks again
  redis.call('DEL', KEYS[1])
end
return 1
