import fc from 'fast-check'
import type { AccessWindow } from '../../../src/predict/types.ts'

export const WINDOW_MS = 60_000

/** Reads by key, of the window that is the `at`-th; all read at its end. */
export function windowOf(at: number, reads: Record<string, number>, lastMs = (at + 1) * WINDOW_MS - 1): AccessWindow {
  const counts = Object.entries(reads).filter(([, count]) => count > 0)
  return {
    fromMs: at * WINDOW_MS,
    toMs: (at + 1) * WINDOW_MS,
    reads: counts.reduce((sum, [, count]) => sum + count, 0),
    keys: new Map(counts.map(([key, count]) => [key, { reads: count, lastMs }])),
  }
}

/** Windows one after the other; keys `k:0` to `k:40`. */
export const streams = fc.array(
  fc.dictionary(
    fc.nat(40).map((id) => `k:${id}`),
    fc.integer({ min: 1, max: 50 }),
    { maxKeys: 30 },
  ),
  { maxLength: 12 },
)

/** A number with about this mean, from 0 up. */
export function poisson(mean: number, random: () => number): number {
  const limit = Math.exp(-mean)
  let count = 0
  for (let left = random(); left > limit; left *= random()) count++
  return count
}

/** mulberry32: numbers from 0 to 1, the same in each run. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
