import TinyQueue from 'tinyqueue'
import type { RawKey } from './types.ts'

/** A key, and how hot it is: larger is hotter. */
export interface Ranked {
  key: RawKey
  heat: number
}

/** Keeps the hottest of all keys it is given, at most `limit`. */
export class Hottest {
  readonly #limit: number
  readonly #coldest = new TinyQueue<Ranked>([], (a, b) => a.heat - b.heat)
  readonly #keys = new Set<RawKey>()
  /** Distinct or not: SCAN may give a key twice. */
  #added = 0

  constructor(limit: number) {
    if (!(limit >= 1)) throw new RangeError(`Cannot create Hottest: limit must be >= 1, current value is ${limit}`)
    this.#limit = limit
  }

  get added(): number {
    return this.#added
  }

  add(key: RawKey, heat: number): void {
    this.#added++
    if (this.#keys.has(key)) return
    if (this.#coldest.length >= this.#limit) {
      if (heat <= (this.#coldest.peek() as Ranked).heat) return
      this.#keys.delete((this.#coldest.pop() as Ranked).key)
    }
    this.#keys.add(key)
    this.#coldest.push({ key, heat })
  }

  /** Hottest first; equals by name, so that the same keys give the same order. Empties it. */
  take(): Ranked[] {
    const all = this.#coldest.data.splice(0)
    this.#coldest.length = 0
    this.#keys.clear()
    return all.sort((a, b) => b.heat - a.heat || (a.key < b.key ? -1 : 1))
  }
}
