import type { Clock } from '../clock.ts'

/** Holds back what is taken, so that it is at most `perS` a second from the first on. */
export class Pace {
  readonly #clock: Clock
  readonly #perS: number
  #nextNs: number | undefined

  constructor(clock: Clock, perS: number) {
    if (!(perS > 0)) throw new RangeError(`Cannot create Pace: perS must be > 0, current value is ${perS}`)
    this.#clock = clock
    this.#perS = perS
  }

  /** Waits until `count` more may go; time that was not used is lost. Ends at once when `signal` aborts. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    const nowNs = this.#clock.nowNs()
    const atNs = Math.max(this.#nextNs ?? nowNs, nowNs)
    this.#nextNs = atNs + (count / this.#perS) * 1e9
    if (atNs > nowNs) await this.#clock.sleep((atNs - nowNs) / 1e6, signal)
  }
}
