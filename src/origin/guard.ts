import type { Clock } from '../clock.ts'
import { Breaker } from './breaker.ts'
import { TokenBucket } from './token-bucket.ts'

/**
 * The origin's leave to send one batch; or when to ask again (null: when a permit comes back), and whether what is
 * missing is missing for every task; or `gone`: this task's origin does not come back.
 */
export type Permission =
  | { granted: true; permit: Permit }
  | { granted: false; retryInMs: number | null; isShared: boolean }
  | { granted: false; gone: true }

/** Given back when the batch has ended. */
export interface Permit {
  readonly breaker: Breaker
  release(): void
}

/**
 * Keeps the origin from being overloaded: requests a second and batches at once over all tasks, a breaker for each.
 * Lives on the main thread, so that one place knows the true rate.
 */
export class OriginGuard {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #maxConcurrent: number
  readonly #breakers = new Map<string, Breaker>()
  #concurrent = 0

  constructor({ maxRps, maxConcurrent, clock }: { maxRps: number; maxConcurrent: number; clock: Clock }) {
    this.#clock = clock
    this.#bucket = new TokenBucket(maxRps, clock)
    this.#maxConcurrent = maxConcurrent
  }

  /** Asks for leave to send a batch of `task` that makes `requests` requests. */
  ask(task: string, requests: number): Permission {
    const breaker = this.#breakerOf(task)
    const { state } = breaker
    if (state.state === 'gone') {
      // Who asks next begins anew: the origin may be back by then.
      this.#breakers.delete(task)
      return { granted: false, gone: true }
    }
    if (state.state === 'held') return { granted: false, retryInMs: state.retryInMs, isShared: false }
    if (this.#concurrent >= this.#maxConcurrent) return { granted: false, retryInMs: null, isShared: true }
    const waitMs = this.#bucket.take(requests)
    if (waitMs > 0) return { granted: false, retryInMs: waitMs, isShared: true }
    this.#concurrent++
    let released = false
    const release = () => {
      if (!released) this.#concurrent--
      released = true
    }
    return { granted: true, permit: { breaker, release } }
  }

  #breakerOf(task: string): Breaker {
    let breaker = this.#breakers.get(task)
    if (breaker === undefined) {
      breaker = new Breaker(this.#clock)
      this.#breakers.set(task, breaker)
    }
    return breaker
  }
}
