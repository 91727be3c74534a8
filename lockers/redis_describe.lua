-- Who holds the lock: {1, token, since, info, ms until it ends, now_ms, waiters, repairs}, or {0}.

local held = redis.call('HMGET', KEYS[1], 'token', 'since', 'info')
if not held[1] then
  return {0}
end
return {1, held[1], held[2], held[3], redis.call('PTTL', KEYS[1]), string.format('%.0f', now_ms)}
