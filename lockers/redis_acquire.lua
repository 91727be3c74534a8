-- Takes the lock, or stands in the queue for it. Asked again with the same owner (a reply was
-- lost, a waiter looks whether it was forgotten) it answers the same and keeps the place.
-- ARGV[4] lease_ms, ARGV[5] info, ARGV[6] channel: "" for one that does not wait.
-- ARGV[7] when, by the server's clock, nobody listens for the answer any more ("0": unknown): a
-- request that was held up takes no lock then.
-- ARGV[8] wanted: how many numbers.
-- {1, token, hint, now_ms}, {0, ms until the lock ends, token, since, info, now_ms, how many wait,
-- 1 where it was put into the queue by this}, or {2, now_ms}

local lease_ms, info, channel = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local not_after_ms = tonumber(ARGV[7])
if not_after_ms > 0 and now_ms > not_after_ms then
  return {2, string.format('%.0f', now_ms)}
end
local member = owner .. '|' .. channel .. '|' .. ARGV[4] .. '|' .. ARGV[8] .. '|' .. info

if redis.call('EXISTS', KEYS[1]) == 0 then
  if redis.call('ZCARD', KEYS[2]) > 0 then
    if channel ~= '' then
      redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', now_us), member)
    end
    give_next()
  end
  if redis.call('EXISTS', KEYS[1]) == 0 then
    give(owner, info, lease_ms, ARGV[8])
  end
end
local held = redis.call('HMGET', KEYS[1], 'owner', 'token', 'hint', 'since', 'info')
if held[1] == owner then
  redis.call('PEXPIRE', KEYS[1], lease_ms)
  redis.call('ZREM', KEYS[2], member)
  return {1, held[2], held[3], string.format('%.0f', now_ms)}
end
local is_new = 0
if channel ~= '' then
  is_new = redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', now_us), member)
  redis.call('PEXPIRE', KEYS[2], queue_ms)
end
return {0, redis.call('PTTL', KEYS[1]), held[2], held[4], held[5],
        string.format('%.0f', now_ms), redis.call('ZCARD', KEYS[2]), is_new}
