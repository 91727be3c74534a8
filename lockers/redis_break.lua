-- Takes the lock away from whoever holds it. 1: somebody held it. 0: it was free.

local held = redis.call('DEL', KEYS[1])
if not pcall(give_next) then
  redis.call('DEL', KEYS[1])
end
return held
