import type { AccessWindow } from '../types.ts'
import { kthLargest } from './rank.ts'

/** The half-lives of a key's rates, in windows. */
export const HALF_LIVES = [0.5, 2, 8, 32] as const
/**
 * A key's reads of one window count this power of theirs in its damped rates: a burst says less about the next window than as
 * many reads spread over several.
 */
export const DAMPING = 0.75
/** Rates below this are 0: denormal numbers are slow. */
const LEAST_RATE = 1e-30

/** Lists of numbers of a table, by name, as they are saved. `rate0` to `rate3` and `damped0` to `damped3` are by half-life. */
export const COLUMNS = [
  ...HALF_LIVES.map((_, at) => `rate${at}`),
  ...HALF_LIVES.map((_, at) => `damped${at}`),
  'total',
  'last',
  'lastMs',
  'firstMs',
] as const

/** What a key's counters become when a part of a window has passed. */
export interface Step {
  /** Of what was there. */
  keep: number
  /** Of the reads that came. */
  take: number
}

/** @param share length of the part in windows, > 0: its reads are taken as spread evenly over it */
export function steps(share: number): Step[] {
  return HALF_LIVES.map((halfLife) => {
    const keep = 2 ** (-share / halfLife)
    return { keep, take: (1 - keep) / share }
  })
}

const ONE_WINDOW: readonly Step[] = steps(1)

/**
 * Counts the reads of a bounded number of keys: rates that decay with several half-lives, folded once a window. Of more keys
 * than there is room for, those leave whose rates are lowest in all.
 *
 * Places are numbers from 0 to `size` - 1, and change when keys leave.
 */
export class KeyTable {
  readonly capacity: number
  readonly keys: string[] = []
  /** Reads a window, by half-life: `(1 - 2^(-1/h)) * (c1 + c2 * 2^(-1/h) + ...)`, `c1` the last window's. */
  readonly rates: Float32Array[]
  /** The same of `c1 ** {@linkcode DAMPING}` and so on. */
  readonly damped: Float32Array[]
  /** All reads. */
  readonly total: Float64Array
  /** Reads in the last window. */
  readonly last: Float64Array
  /** The last read. */
  readonly lastMs: Float64Array
  /** The beginning of the window in which it came in. */
  readonly firstMs: Float64Array
  /** All of the above, in the order of {@linkcode COLUMNS}. */
  readonly #columns: readonly (Float32Array | Float64Array)[]
  readonly #places = new Map<string, number>()

  /** @param capacity keys, at least 1 */
  constructor(capacity: number) {
    this.capacity = capacity
    this.rates = HALF_LIVES.map(() => new Float32Array(capacity))
    this.damped = HALF_LIVES.map(() => new Float32Array(capacity))
    this.total = new Float64Array(capacity)
    this.last = new Float64Array(capacity)
    this.lastMs = new Float64Array(capacity)
    this.firstMs = new Float64Array(capacity)
    this.#columns = [...this.rates, ...this.damped, this.total, this.last, this.lastMs, this.firstMs]
  }

  get size(): number {
    return this.keys.length
  }

  placeOf(key: string): number | undefined {
    return this.#places.get(key)
  }

  /** Lets windows pass in which nothing was read. @param count at least 1 */
  pass(count: number): void {
    for (const [index, { keep }] of steps(count).entries()) {
      decay(this.rates[index] as Float32Array, keep, this.size)
      decay(this.damped[index] as Float32Array, keep, this.size)
    }
    this.last.fill(0, 0, this.size)
  }

  /** Takes in the window that follows. */
  fold(window: AccessWindow): void {
    this.pass(1)
    const fresh: string[] = []
    for (const [key, { reads, lastMs }] of window.keys) {
      const place = this.#places.get(key)
      if (place === undefined) fresh.push(key)
      else this.#add(place, reads, lastMs)
    }
    if (fresh.length === 0) return
    for (const key of this.#makeRoom(fresh, window)) {
      const { reads, lastMs } = window.keys.get(key) as { reads: number; lastMs: number }
      const place = this.#append(key)
      this.lastMs[place] = lastMs
      this.firstMs[place] = window.fromMs
      this.#add(place, reads, lastMs)
    }
  }

  /** By their names of {@linkcode COLUMNS}; shared, not copied. */
  column(name: (typeof COLUMNS)[number]): Float32Array | Float64Array {
    return this.#columns[COLUMNS.indexOf(name)] as Float32Array | Float64Array
  }

  /** Puts keys at the places 0, 1, ... of an empty table with room for them; their numbers go into the columns. */
  restore(keys: readonly string[]): void {
    for (const key of keys) this.#append(key)
  }

  /** Takes over another table's keys; of more than there is room for the hottest. This one must be empty. */
  take(other: KeyTable): void {
    const tooMany = other.size - this.capacity
    const heats = Float64Array.from(other.keys, (_, place) => other.#heat(place))
    const leave = tooMany > 0 ? leaving(heats, tooMany) : new Uint8Array(other.size)
    for (const [from, key] of other.keys.entries()) {
      if (leave[from] === 1) continue
      const place = this.#append(key)
      for (const [at, column] of this.#columns.entries()) column[place] = other.#columns[at]?.[from] as number
    }
  }

  /** Its damped reads, decayed, summed over the half-lives: what was read lately counts, and what was read for long. */
  #heat(place: number): number {
    let sum = 0
    for (let at = 0; at < HALF_LIVES.length; at++)
      sum += (this.damped[at]?.[place] as number) / (ONE_WINDOW[at] as Step).take
    return sum
  }

  /** Lets the coldest leave, of the table and of `fresh`; those of `fresh` that may come in. */
  #makeRoom(fresh: string[], window: AccessWindow): string[] {
    const tooMany = this.size + fresh.length - this.capacity
    if (tooMany <= 0) return fresh
    const heats = new Float64Array(this.size + fresh.length)
    for (let place = 0; place < this.size; place++) heats[place] = this.#heat(place)
    for (const [index, key] of fresh.entries())
      heats[this.size + index] = HALF_LIVES.length * (window.keys.get(key) as { reads: number }).reads ** DAMPING
    const leave = leaving(heats, tooMany)
    const held = this.size
    this.#keep(leave)
    return fresh.filter((_, index) => leave[held + index] === 0)
  }

  #append(key: string): number {
    const place = this.keys.length
    this.keys.push(key)
    this.#places.set(key, place)
    for (const column of this.#columns) column[place] = 0
    return place
  }

  #add(place: number, reads: number, lastMs: number): void {
    const damped = reads ** DAMPING
    for (let index = 0; index < HALF_LIVES.length; index++) {
      const { take } = ONE_WINDOW[index] as Step
      const rates = this.rates[index] as Float32Array
      const dampedRates = this.damped[index] as Float32Array
      rates[place] = (rates[place] as number) + take * reads
      dampedRates[place] = (dampedRates[place] as number) + take * damped
    }
    this.total[place] = (this.total[place] as number) + reads
    this.last[place] = reads
    this.lastMs[place] = Math.max(this.lastMs[place] as number, lastMs)
  }

  /** The others move up, in their order. */
  #keep(leave: Uint8Array): void {
    let to = 0
    for (let place = 0; place < this.size; place++) {
      const key = this.keys[place] as string
      if (leave[place] === 1) {
        this.#places.delete(key)
        continue
      }
      if (to !== place) {
        this.keys[to] = key
        this.#places.set(key, to)
        for (const column of this.#columns) column[to] = column[place] as number
      }
      to++
    }
    this.keys.length = to
  }
}

/** 1 for the `count` of lowest heat; of equals those leave that came first. */
function leaving(heats: Float64Array, count: number): Uint8Array {
  const leave = new Uint8Array(heats.length)
  const bound = kthLargest(heats.slice(), heats.length - count + 1)
  let left = count
  for (let at = 0; at < heats.length; at++) {
    if ((heats[at] as number) >= bound) continue
    leave[at] = 1
    left--
  }
  for (let at = 0; left > 0; at++) {
    if (heats[at] !== bound) continue
    leave[at] = 1
    left--
  }
  return leave
}

function decay(rates: Float32Array, keep: number, size: number): void {
  for (let place = 0; place < size; place++) {
    const rate = (rates[place] as number) * keep
    rates[place] = rate < LEAST_RATE ? 0 : rate
  }
}
