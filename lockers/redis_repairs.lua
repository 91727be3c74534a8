-- How often the counter was repaired.

return tonumber(redis.call('HGET', KEYS[5], 'counter_repairs') or 0)
