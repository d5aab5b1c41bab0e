import type { Clock } from '../clock.ts'
import type { SharedRate } from '../coordination/types.ts'
import { burstOf, TokenBucket } from './token-bucket.ts'

/** Leave to make requests; or when to ask again, and whether that is for the limit's sake (not for a lease on its way). */
export type Taken = { granted: true } | { granted: false; retryInMs: number; isLimit: boolean }

export interface RateOptions {
  /** Requests a second, > 0; over all instances where `shared` is given. */
  rps: number
  clock: Clock
  shared?: SharedRate | undefined
  /** Called when tokens have come that somebody was refused. */
  onFree: () => void
}

/** After a lease that did not bring all it wanted, the next one waits this long, ms: half of what the bucket saves up. */
const LEASE_EVERY_MS = 50
/** Where nobody can tell the shared rate, it is asked for again after this, ms. */
const AWAY_MS = 1000
/** A lease that takes longer counts as one that nobody can give, ms. */
const LEASE_TIMEOUT_MS = 2000

/**
 * Requests a second: a token bucket of this instance's own, and, where instances share a rate, tokens leased from them all,
 * a tenth of a second's worth ahead of need. Each request needs both, so that no answer about the shared rate, and none at
 * all, lets this instance go faster than `rps`.
 */
export class OriginRate {
  readonly #clock: Clock
  readonly #shared: SharedRate | undefined
  readonly #onFree: () => void
  readonly #bucket: TokenBucket
  #chunk: number
  /** Leased and not yet used; below 0 after a batch that cost more than a chunk. */
  #tokens = 0
  #leaseSinceNs: number | null = null
  #nextLeaseNs = Number.NEGATIVE_INFINITY
  #isAway = false
  #isWaiting = false

  constructor({ rps, clock, shared, onFree }: RateOptions) {
    this.#clock = clock
    this.#shared = shared
    this.#onFree = onFree
    this.#bucket = new TokenBucket(rps, clock)
    this.#chunk = Math.ceil(burstOf(rps))
  }

  take(cost: number): Taken {
    const isLeased = this.#hasLease(cost)
    if (isLeased !== true) return isLeased
    const retryInMs = this.#bucket.take(cost)
    if (retryInMs > 0) return { granted: false, retryInMs, isLimit: true }
    this.#isWaiting = false
    if (this.#shared !== undefined && !this.#isAway) {
      this.#tokens -= cost
      if (this.#tokens < this.#chunk / 2) this.#lease(this.#shared)
    }
    return { granted: true }
  }

  /** Goes on at another rate, > 0. */
  retune(rps: number): void {
    this.#bucket.retune(rps)
    this.#chunk = Math.ceil(burstOf(rps))
    this.#tokens = Math.min(this.#tokens, this.#chunk)
  }

  #hasLease(cost: number): true | Taken {
    const nowNs = this.#clock.nowNs()
    if (this.#shared === undefined) return true
    if (!this.#isAway && this.#tokens >= Math.min(cost, this.#chunk) - 1e-6) return true
    this.#lease(this.#shared)
    if (this.#leaseSinceNs !== null) {
      const leftMs = LEASE_TIMEOUT_MS - (nowNs - this.#leaseSinceNs) / 1e6
      if (leftMs <= 0) this.#isAway = true
      if (this.#isAway) return true
      this.#isWaiting = true
      return { granted: false, retryInMs: leftMs, isLimit: false }
    }
    if (this.#isAway) return true
    return { granted: false, retryInMs: (this.#nextLeaseNs - nowNs) / 1e6, isLimit: true }
  }

  #lease(shared: SharedRate): void {
    if (this.#leaseSinceNs !== null || this.#clock.nowNs() < this.#nextLeaseNs) return
    this.#leaseSinceNs = this.#clock.nowNs()
    const wanted = Math.max(1, Math.ceil(this.#chunk - this.#tokens))
    shared.lease(wanted).then(
      (lease) => this.#leased(wanted, lease),
      () => this.#leased(wanted, null),
    )
  }

  #leased(wanted: number, lease: Awaited<ReturnType<SharedRate['lease']>>): void {
    this.#leaseSinceNs = null
    const nowNs = this.#clock.nowNs()
    this.#isAway = lease === null
    if (lease === null) this.#nextLeaseNs = nowNs + AWAY_MS * 1e6
    else {
      this.#tokens = Math.min(this.#chunk, this.#tokens + Math.min(lease.granted, wanted))
      if (lease.granted < wanted) this.#nextLeaseNs = nowNs + Math.max(LEASE_EVERY_MS, lease.retryInMs) * 1e6
    }
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.#onFree()
  }
}
