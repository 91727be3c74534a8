-- What several scripts share; the build puts it before each of them (cmake/redis_scripts.cmake).
--
-- KEYS[1] lock: a hash, which ends with the lease. owner: the random token of who holds it.
-- KEYS[2] queue: a sorted set of those who wait, first come first. A member is
--         "owner|channel|lease_ms|wanted|info"; info is what describe tells of a holder.
-- KEYS[3] token: the fencing token that was given last.
-- KEYS[4] seq: the last number that a holder was told; releases set it to the storage's head.
-- ARGV[1] owner: of who calls.
-- ARGV[2] wake: what the names of the channels begin with on which waiters listen.
-- ARGV[3] claim_ms: how long a lock that is handed over waits for its new holder at most.

local owner, wake, claim_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)
local queue_ms = 3600000 -- a queue that nobody has joined for so long is forgotten

local function is_mine()
  return redis.call('HGET', KEYS[1], 'owner') == owner
end

-- The lock, which is free, becomes new_owner's for hold_ms; it wants so many numbers. A counter that begins anew (Redis has
-- lost its memory) begins at the clock's microseconds: above every token that was given before.
local function give(new_owner, info, hold_ms, wanted)
  local token = redis.call('INCR', KEYS[3])
  if token == 1 then
    token = now_us
    redis.call('SET', KEYS[3], string.format('%.0f', token))
  end
  local hint = redis.call('INCRBY', KEYS[4], wanted) - wanted + 1
  redis.call('HSET', KEYS[1], 'owner', new_owner, 'token', string.format('%.0f', token), 'hint',
             hint, 'info', info, 'since', string.format('%.0f', now_ms))
  redis.call('PEXPIRE', KEYS[1], hold_ms)
  return token, hint
end

-- Tells who is first in the queue that its turn comes next. (Taken out and put back: so no user
-- needs the right to another command.)
local function tell_next()
  local first = redis.call('ZPOPMIN', KEYS[2])
  if first[1] then
    redis.call('ZADD', KEYS[2], first[2], first[1])
    redis.call('PEXPIRE', KEYS[2], queue_ms)
    local next_owner, channel = string.match(first[1], '^([^|]*)|([^|]*)|')
    redis.call('PUBLISH', wake .. channel, next_owner .. '|soon')
  end
end

-- Gives the lock, which is free, to the first waiter that still listens. One whose connection is
-- gone is heard by nobody: it is passed over at once.
local function give_next()
  while true do -- bounded by the length of the queue
    local first = redis.call('ZPOPMIN', KEYS[2])[1]
    if not first then
      return
    end
    local new_owner, channel, lease_ms, wanted, info =
      string.match(first, '^([^|]*)|([^|]*)|(%d+)|(%d+)|(.*)$')
    if new_owner then
      local hold_ms = math.min(tonumber(lease_ms), claim_ms)
      local token, hint = give(new_owner, info, hold_ms, wanted)
      local said = string.format('%s|%.0f|%.0f|%d|%.0f', new_owner, token, hint, hold_ms, now_ms)
      if redis.call('PUBLISH', wake .. channel, said) > 0 then
        pcall(tell_next) -- the lock is given, whatever comes of this
        return
      end
      redis.call('DEL', KEYS[1])
      redis.call('DECRBY', KEYS[4], wanted)
    end
  end
end
