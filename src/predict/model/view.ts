import type { AccessWindow } from '../types.ts'
import { DAMPING, HALF_LIVES, type KeyTable, steps } from './key-table.ts'

/** What is known of keys at one moment, by place. */
export interface View {
  size: number
  keys: readonly string[]
  /** Reads a window and damped reads a window, by half-life. */
  rates: readonly Float32Array[]
  damped: readonly Float32Array[]
  total: Float64Array
  /** Reads in the window that ends now. */
  recent: Float64Array
  lastMs: Float64Array
  nowMs: number
  /** Since the record began. */
  elapsedMs: number
  windowMs: number
}

export interface Moment {
  startMs: number
  foldedToMs: number
  windowMs: number
}

/** The table at the end of the last window; shared, not copied: it changes with the next fold. */
export function viewOf(table: KeyTable, { startMs, foldedToMs, windowMs }: Moment): View {
  const { size, keys, rates, damped, total, last, lastMs } = table
  const elapsedMs = Math.max(windowMs, foldedToMs - startMs)
  return { size, keys, rates, damped, total, recent: last, lastMs, nowMs: foldedToMs, elapsedMs, windowMs }
}

/**
 * The table in the middle of a window: rates have decayed for the part that has passed, and its reads are in them. Of the last
 * whole window as much counts as recent as is less than a window ago.
 */
export function viewDuring(table: KeyTable, moment: Moment, partial: AccessWindow): View {
  const { foldedToMs, windowMs, startMs } = moment
  if (partial.toMs <= foldedToMs) return viewOf(table, moment)
  const share = (partial.toMs - foldedToMs) / windowMs
  const keys = [...table.keys]
  const places = new Map<string, number>()
  for (const key of partial.keys.keys()) {
    const place = table.placeOf(key) ?? keys.push(key) - 1
    places.set(key, place)
  }
  const { length: size } = keys
  const ofPart = steps(share)
  const rates = table.rates.map((list, at) => decayed(list, table.size, size, ofPart[at]?.keep as number))
  const damped = table.damped.map((list, at) => decayed(list, table.size, size, ofPart[at]?.keep as number))
  const total = grown(table.total, table.size, size)
  const lastMs = grown(table.lastMs, table.size, size)
  const recent = grown(table.last, table.size, size)
  const still = Math.max(0, 1 - share)
  for (let place = 0; place < table.size; place++) {
    // A key that was first read in the last window has no earlier reads, until that window is past as a whole.
    const isNew = recent[place] === total[place]
    if (!isNew || still === 0) recent[place] = (recent[place] as number) * still
  }
  for (const [key, { reads, lastMs: readMs }] of partial.keys) {
    const place = places.get(key) as number
    for (let at = 0; at < HALF_LIVES.length; at++) {
      const take = ofPart[at]?.take as number
      add(rates[at] as Float32Array, place, take * reads)
      add(damped[at] as Float32Array, place, take * reads ** DAMPING)
    }
    add(total, place, reads)
    add(recent, place, reads)
    lastMs[place] = Math.max(lastMs[place] as number, readMs)
  }
  const { toMs: nowMs } = partial
  const elapsedMs = Math.max(windowMs, nowMs - startMs)
  return { size, keys, rates, damped, total, recent, lastMs, nowMs, elapsedMs, windowMs }
}

function decayed(list: Float32Array, from: number, size: number, keep: number): Float32Array {
  const copy = new Float32Array(size)
  for (let place = 0; place < from; place++) copy[place] = (list[place] as number) * keep
  return copy
}

function grown(list: Float64Array, from: number, size: number): Float64Array {
  const copy = new Float64Array(size)
  copy.set(list.subarray(0, from))
  return copy
}

function add(list: Float32Array | Float64Array, place: number, value: number): void {
  list[place] = (list[place] as number) + value
}
