import type { Clock } from '../clock.ts'

/** A longer timer is due at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A deadline that can be held: time in which nothing may happen does not count. */
export class Deadline {
  readonly #clock: Clock
  readonly #onDue: () => void
  #leftMs: number
  #sinceNs = 0
  #takeBack: (() => void) | undefined
  #isOver = false

  constructor(clock: Clock, timeoutMs: number, onDue: () => void) {
    this.#clock = clock
    this.#onDue = onDue
    this.#leftMs = timeoutMs
    this.goOn()
  }

  hold(): void {
    if (this.#takeBack === undefined) return
    this.#takeBack()
    this.#takeBack = undefined
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.nowNs() - this.#sinceNs) / 1e6)
  }

  goOn(): void {
    if (this.#isOver || this.#takeBack !== undefined) return
    this.#sinceNs = this.#clock.nowNs()
    this.#takeBack = this.#clock.after(Math.min(this.#leftMs, MAX_TIMER_MS), this.#onDue)
  }

  /** Takes it back for good. */
  end(): void {
    this.#isOver = true
    this.#takeBack?.()
    this.#takeBack = undefined
  }
}
