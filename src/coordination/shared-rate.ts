import type { Clock } from '../clock.ts'
import type { Commands, Script, SharedRate } from './types.ts'

export interface RedisSharedRateOptions {
  commands: Commands
  clock: Clock
  /** Requests a second that all instances may make together, > 0; asked with each lease, since it can be changed. */
  maxRps: () => number
}

const KEY = 'prewarm:origin:rate'
const TIMEOUT_MS = 1000

/**
 * KEYS: the bucket. ARGV: tokens a second, capacity, wanted. Replies how many are granted, and the ms until there is one.
 * By the server's time, so that instances' clocks do not matter; should that be set back, nothing is added for the while.
 */
const LEASE: Script = {
  text: `
local rps, capacity, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held, at = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%d+)$')
local tokens = capacity
if held then tokens = math.min(capacity, tonumber(held) + math.max(0, now - tonumber(at)) / 1000000 * rps) end
local granted = math.min(wanted, math.floor(tokens + 0.000001))
tokens = tokens - granted
local full = math.ceil((capacity - tokens) / rps * 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.6f %.0f', tokens, now), 'PX', string.format('%.0f', full))
return {granted, granted > 0 and 0 or math.ceil((1 - tokens) / rps * 1000)}`,
}

/** A {@linkcode SharedRate} as a token bucket in Redis; at most a tenth of a second's worth is saved up (at least one). */
export class RedisSharedRate implements SharedRate {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #maxRps: () => number

  constructor({ commands, clock, maxRps }: RedisSharedRateOptions) {
    this.#commands = commands
    this.#clock = clock
    this.#maxRps = maxRps
  }

  async lease(wanted: number): Promise<{ granted: number; retryInMs: number } | null> {
    const rps = this.#maxRps()
    const args = [rps, Math.max(1, rps / 10), Math.max(0, Math.floor(wanted))]
    const reply = this.#commands.script(LEASE, [KEY], args).catch(() => null)
    const [granted, retryInMs] = ((await this.#inTime(reply)) ?? []) as number[]
    // What is granted too late is never used: the origin gets less, not more.
    return granted === undefined || retryInMs === undefined ? null : { granted, retryInMs }
  }

  async #inTime<T>(work: Promise<T>): Promise<T | null> {
    let takeBack = () => {}
    const late = new Promise<null>((resolve) => {
      takeBack = this.#clock.after(TIMEOUT_MS, () => resolve(null))
    })
    try {
      return await Promise.race([work, late])
    } finally {
      takeBack()
    }
  }
}
