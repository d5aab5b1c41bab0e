import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import { grainOf, MemoryRateCounter, type RateLimit } from './memory-rate.ts'
import type { Commands, RateCount, RateCounter, Script } from './types.ts'

/**
 * Counts a request if the window has room for it. A sliding log of what was allowed: unlike GCRA or a fixed window it
 * lets no window whatever hold more than `max`; unlike a plain log it stays small, as entries of a large limit hold
 * all requests of a grain. A script, so that looking and counting are one step; the server's time, so that instances
 * whose clocks differ share a window.
 *
 * KEYS: the log, a list of 'start-in-µs count'. ARGV: max, window in ms, grain in ms.
 * Reply: allowed, used, ms until one more is allowed, ms until the window is whole.
 */
export const RATE_SCRIPT: Script = {
  text: `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local max, window, grain = tonumber(ARGV[1]), ARGV[2] * 1000, ARGV[3] * 1000
local keep = window + grain
local log = redis.call('LRANGE', KEYS[1], 0, -1)
local gone, used, first, last, count = 0, 0, nil, nil, 0
for i = 1, #log do
  local at, n = string.match(log[i], '^(%d+) (%d+)$')
  at, n = tonumber(at), tonumber(n)
  if at + keep <= now then
    gone = i
  elseif at > now + window then
    -- The server's clock was put back: nobody waits longer than two windows for that.
    gone, used, first, last, count = #log, 0, nil, nil, 0
    break
  else
    first = first or at
    last, count, used = at, n, used + n
  end
end
if gone > 0 then redis.call('LTRIM', KEYS[1], gone, -1) end
local allowed = used < max
if allowed then
  used = used + 1
  if last and now - last < grain then
    redis.call('LSET', KEYS[1], -1, string.format('%.0f %d', last, count + 1))
  else
    first, last = first or now, now
    redis.call('RPUSH', KEYS[1], string.format('%.0f 1', now))
  end
  redis.call('PEXPIRE', KEYS[1], math.ceil(keep / 1000))
end
local retry = used < max and 0 or first + keep - now
return { allowed and 1 or 0, used, math.ceil(retry / 1000), math.ceil((last and last + keep - now or 0) / 1000) }
`,
}

/** A {@linkcode RateCounter} that all instances on one Redis share. A subject has one key, which goes with its window. */
export class RedisRateCounter implements RateCounter {
  readonly #commands: Pick<Commands, 'script'>

  constructor(commands: Pick<Commands, 'script'>) {
    this.#commands = commands
  }

  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  async take(subject: string, limit: RateLimit): Promise<RateCount> {
    const args = [limit.max, limit.windowMs, grainOf(limit)]
    const reply = await this.#commands.script(RATE_SCRIPT, [`prewarm:limit:${subject}`], args)
    const [allowed, used, retryInMs, resetInMs] = Array.isArray(reply) ? reply.map(Number) : []
    if (![allowed, used, retryInMs, resetInMs].every(Number.isFinite)) {
      throw new PrewarmError('STORE_REFUSED', `Redis answered a rate limit with ${JSON.stringify(reply)}`)
    }
    return {
      allowed: allowed === 1,
      limit: limit.max,
      remaining: Math.max(0, limit.max - (used as number)),
      retryInMs: retryInMs as number,
      resetInMs: resetInMs as number,
    }
  }
}

/** After Redis has failed it is not asked for this long: answers come at once, from memory. */
const AWAY_MS = 1000

/**
 * Counts in `shared`, and in memory while that can't be asked. What `shared` allows is noted in memory too, so that
 * nobody gets a fresh limit when Redis goes; and what memory refuses is not asked for, as Redis would refuse it too.
 */
export class FallbackRateCounter implements RateCounter {
  readonly #shared: RateCounter
  readonly #memory: MemoryRateCounter
  readonly #clock: Pick<Clock, 'nowNs'>
  #awayUntilNs = Number.NEGATIVE_INFINITY

  constructor(shared: RateCounter, clock: Pick<Clock, 'nowNs'>) {
    this.#shared = shared
    this.#clock = clock
    this.#memory = new MemoryRateCounter(clock)
  }

  /** Never throws. */
  async take(subject: string, limit: RateLimit): Promise<RateCount> {
    const own = this.#memory.look(subject, limit)
    if (!own.allowed) return own
    if (this.#clock.nowNs() < this.#awayUntilNs) return this.#memory.take(subject, limit)
    try {
      const count = await this.#shared.take(subject, limit)
      if (count.allowed) this.#memory.note(subject, limit)
      return count
    } catch {
      this.#awayUntilNs = this.#clock.nowNs() + AWAY_MS * 1e6
      return this.#memory.take(subject, limit)
    }
  }
}

/** Limits that all instances share, and that go on in memory while Redis is away. */
export function sharedRateCounter(commands: Pick<Commands, 'script'>, clock: Pick<Clock, 'nowNs'>): RateCounter {
  return new FallbackRateCounter(new RedisRateCounter(commands), clock)
}
