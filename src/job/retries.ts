import type { Clock } from '../clock.ts'
import type { Unit } from './unit.ts'

/** Batches that wait to be sent again, the one that is due first in front. */
export class Retries {
  readonly #clock: Clock
  readonly #waiting: { unit: Unit; notBeforeNs: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.length
  }

  add(unit: Unit, pauseMs: number): void {
    this.#waiting.push({ unit, notBeforeNs: this.#clock.nowNs() + pauseMs * 1e6 })
    this.#waiting.sort((a, b) => a.notBeforeNs - b.notBeforeNs)
  }

  /** ms until the first is due; null: none waits. */
  get waitMs(): number | null {
    const first = this.#waiting[0]
    return first === undefined ? null : Math.max(0, (first.notBeforeNs - this.#clock.nowNs()) / 1e6)
  }

  /** The first, if it is due. */
  get due(): Unit | undefined {
    return this.waitMs === 0 ? this.#waiting[0]?.unit : undefined
  }

  /** Takes the first out. */
  shift(): Unit | undefined {
    return this.#waiting.shift()?.unit
  }

  /** Takes all out. */
  clear(): Unit[] {
    return this.#waiting.splice(0).map(({ unit }) => unit)
  }
}
