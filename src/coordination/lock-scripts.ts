import type { Script } from './types.ts'

/**
 * KEYS: the lock, its fence. ARGV: the holder's mark, TTL in ms. Replies [1, token], or [0, mark of who has it, ms left].
 * A fence that is not there begins with the server's time in microseconds, so that tokens grow also after the server was emptied.
 */
export const ACQUIRE: Script = {
  text: `
local held = redis.call('GET', KEYS[1])
if held then return {0, held, redis.call('PTTL', KEYS[1])} end
if redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[2], string.format('%.0f', now[1] * 1000000 + now[2]))
end
local token = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return {1, token}`,
}

/** KEYS: the lock. ARGV: the holder's mark, TTL in ms. Replies 1, or 0 if the lock is not the holder's. */
export const RENEW: Script = {
  text: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
}

/** KEYS: the lock. ARGV: the holder's mark. Replies 1, or 0 if the lock is not the holder's. */
export const RELEASE: Script = {
  text: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`,
}
