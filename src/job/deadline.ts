import type { Clock } from '../clock.ts'

/** A deadline that can be held: time in which nothing may happen does not count. */
export class Deadline {
  readonly #clock: Clock
  readonly #onDue: () => void
  #leftMs: number
  #sinceNs = 0
  #takeBack: (() => void) | undefined

  constructor(clock: Clock, timeoutMs: number, onDue: () => void) {
    this.#clock = clock
    this.#onDue = onDue
    this.#leftMs = timeoutMs
    this.goOn()
  }

  hold(): void {
    if (this.#takeBack === undefined) return
    this.end()
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.nowNs() - this.#sinceNs) / 1e6)
  }

  goOn(): void {
    if (this.#takeBack !== undefined) return
    this.#sinceNs = this.#clock.nowNs()
    this.#takeBack = this.#clock.after(this.#leftMs, this.#onDue)
  }

  end(): void {
    this.#takeBack?.()
    this.#takeBack = undefined
  }
}
