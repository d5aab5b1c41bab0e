import { CircuitState, ConsecutiveBreaker, circuitBreaker, DelegateBackoff, handleAll } from 'cockatiel'
import type { Clock } from '../clock.ts'

/** Failures in a row that open the breaker. */
const THRESHOLD = 5
/** Openings in a row, with no success between, after which the origin counts as gone. */
const MAX_OPENINGS = 4
/** How long the first opening lasts, ms; each further one twice as long. */
const FIRST_PAUSE_MS = 1000

/** `free`: go. `held`: not now; ask again in `retryInMs`. `gone`: give up. */
export type BreakerState = { state: 'free' } | { state: 'held'; retryInMs: number } | { state: 'gone' }

/** The circuit breaker of one task's origin (over cockatiel's): asked before each batch, told of each result. */
export class Breaker {
  readonly #clock: Clock
  readonly #policy = circuitBreaker(handleAll, {
    halfOpenAfter: new DelegateBackoff(() => 0),
    breaker: new ConsecutiveBreaker(THRESHOLD),
  })
  #openings = 0
  #heldUntilNs = 0
  #probe: object | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#policy.onBreak(() => {
      this.#openings++
      this.#heldUntilNs = clock.nowNs() + FIRST_PAUSE_MS * 2 ** (this.#openings - 1) * 1e6
    })
    this.#policy.onReset(() => {
      this.#openings = 0
    })
  }

  get state(): BreakerState {
    if (this.#openings >= MAX_OPENINGS) return { state: 'gone' }
    if (this.#policy.state === CircuitState.Closed) return { state: 'free' }
    const retryInMs = (this.#heldUntilNs - this.#clock.nowNs()) / 1e6
    if (retryInMs > 0) return { state: 'held', retryInMs }
    // Half open: one batch finds out, the others wait for it.
    return this.#probe !== undefined ? { state: 'held', retryInMs: 50 } : { state: 'free' }
  }

  /** Runs `work` when `state` is free; `isDown` tells from its result whether the origin was away. */
  async run<T>(work: () => Promise<T>, isDown: (result: T) => boolean): Promise<T> {
    const mine = {}
    if (this.#policy.state !== CircuitState.Closed) this.#probe = mine
    let result: Promise<T> | undefined
    try {
      return await this.#policy.execute(async () => {
        result = work()
        if (isDown(await result)) throw new Error('the origin is down')
        return result
      })
    } catch {
      // The error was for the breaker; the result, good or bad, is for the caller.
      return await (result ?? work())
    } finally {
      if (this.#probe === mine) this.#probe = undefined
    }
  }
}
