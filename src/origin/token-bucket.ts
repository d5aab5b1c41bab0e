import type { Clock } from '../clock.ts'

/**
 * A rate limit as a token bucket: `rps` tokens a second, at most a tenth of a second's worth saved up (at least one).
 * A cost larger than the bucket is let through when the bucket is full, and paid off before anything else goes.
 */
export class TokenBucket {
  readonly #clock: Clock
  #rps: number
  #capacity: number
  #tokens: number
  #atNs: number

  /** @param rps tokens a second, > 0 */
  constructor(rps: number, clock: Clock) {
    this.#clock = clock
    this.#rps = checked(rps)
    this.#capacity = burstOf(rps)
    this.#tokens = this.#capacity
    this.#atNs = clock.nowNs()
  }

  /** Takes `cost` tokens and returns 0, or takes none and returns the ms to wait before asking again. */
  take(cost: number): number {
    this.#fill()
    const missing = Math.min(cost, this.#capacity) - this.#tokens
    // Rounding must not ask for a wait of almost nothing for ever.
    if (missing > 1e-6) return (missing / this.#rps) * 1000
    this.#tokens -= cost
    return 0
  }

  /** Goes on at another rate, > 0; what was saved up is kept, as far as it may be saved now. */
  retune(rps: number): void {
    checked(rps)
    this.#fill()
    this.#rps = rps
    this.#capacity = burstOf(rps)
    this.#tokens = Math.min(this.#tokens, this.#capacity)
  }

  #fill(): void {
    const nowNs = this.#clock.nowNs()
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((nowNs - this.#atNs) / 1e9) * this.#rps)
    this.#atNs = nowNs
  }
}

/** How many tokens may be saved up at `rps` a second. */
export function burstOf(rps: number): number {
  return Math.max(1, rps / 10)
}

function checked(rps: number): number {
  if (!(rps > 0)) throw new RangeError(`TokenBucket: rps must be > 0, current value is ${rps}`)
  return rps
}
