import type { Clock } from '../clock.ts'

type State =
  | { name: 'closed'; failures: number }
  | { name: 'open'; untilNs: number }
  /** One question finds out whether Redis is back. */
  | { name: 'probing' }

type Told = 'answered' | 'failed' | 'asked'

/** Failures in a row after which Redis is left alone. */
const THRESHOLD = 5
const PAUSE_NS = 1e9

/** Keeps readers from waiting for a Redis that does not answer: asked before each question, told of each answer. */
export class TierBreaker {
  readonly #clock: Clock
  #state: State = { name: 'closed', failures: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Leave to ask. In half-open state the first one has it. */
  tryAsk(): boolean {
    if (this.#state.name === 'closed') return true
    if (this.#state.name === 'probing' || this.#clock.nowNs() < this.#state.untilNs) return false
    this.#state = this.#after('asked')
    return true
  }

  tell(what: 'answered' | 'failed'): void {
    this.#state = this.#after(what)
  }

  #after(told: Told): State {
    if (told === 'answered') return { name: 'closed', failures: 0 }
    if (told === 'asked') return { name: 'probing' }
    const failures = this.#state.name === 'closed' ? this.#state.failures + 1 : THRESHOLD
    return failures >= THRESHOLD
      ? { name: 'open', untilNs: this.#clock.nowNs() + PAUSE_NS }
      : { name: 'closed', failures }
  }
}
