import type { Clock } from '../clock.ts'

/** How many events of single keys may be told a second; what is not used is lost. */
export class KeyBudget {
  readonly #clock: Clock
  readonly #perSecond: number
  #left: number
  #atNs: number

  constructor(perSecond: number, clock: Clock) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#left = perSecond
    this.#atNs = clock.nowNs()
  }

  /** Of `wanted`, as many as are left. */
  take(wanted: number): number {
    const nowNs = this.#clock.nowNs()
    this.#left = Math.min(this.#perSecond, this.#left + ((nowNs - this.#atNs) / 1e9) * this.#perSecond)
    this.#atNs = nowNs
    const granted = Math.min(wanted, Math.floor(this.#left))
    this.#left -= granted
    return granted
  }
}
