import type { ReadTold } from '../../src/cache/types.ts'
import type { GainFigures } from '../../src/gain/figures.ts'

/** A hit in Redis on a warmed entry, if nothing else is said. */
export function told(over: Partial<ReadTold> = {}): ReadTold {
  return {
    key: 'film:1',
    keyspace: 'films',
    tier: 'redis',
    status: 'hit',
    filledBy: 'warm',
    durationNs: 1_000_000,
    expiresAtMs: 1_700_000_300_037,
    ...over,
  }
}

export function figures(over: Partial<GainFigures> = {}): GainFigures {
  return {
    reads: { hits: 0, misses: 0, stale: 0, errors: 0, invalidations: 0, warmHits: 0 },
    ended: { warmed: 0, read: 0, byTask: new Map() },
    live: { warmed: 0, read: 0 },
    isObserved: true,
    pool: null,
    fromMs: Date.parse('2026-01-01T00:00:00Z'),
    toMs: Date.parse('2026-01-01T06:00:00Z'),
    ...over,
  }
}
