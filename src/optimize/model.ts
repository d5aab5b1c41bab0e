import type { TaskFacts } from './types.ts'

const HOUR_MS = 3_600_000
/** Lives that stand for those between the shortest and the longest. */
const LIVES = 4
/** More misses than this within one gap are not summed up one by one. */
const MAX_TERMS = 40

/** How a task is warmed. */
export type Warming = Pick<TaskFacts, 'gapsMs' | 'ttlMs' | 'warmed'>

export interface Forecast {
  /** Of reads, 0 to 1. */
  hitRate: number
  missesPerHour: number
  warmRequestsPerHour: number
  /** Both of them together. */
  originRequestsPerHour: number
  /** Null: no load was measured. */
  originMsPerHour: number | null
}

/**
 * Misses to expect of a key within `gapMs` from a moment when it is not cached: reads come by chance (Poisson), a miss fills it
 * for `ttlMs`, and a hit does not renew that. Misses are then a renewal process of `ttlMs` and the wait for the next read, so
 * that in the long run `r / (1 + r * ttl)` of `r` reads miss: J. Jung, A. Berger, H. Balakrishnan, "Modeling TTL-based Internet
 * caches" (INFOCOM 2003); N. Choungmo Fofack, P. Nain, G. Neglia, D. Towsley, "Analysis of TTL-based cache networks"
 * (VALUETOOLS 2012). In a short gap miss `n` comes after `n` lives and `n + 1` waits, whose sum is an Erlang variable.
 *
 * @param readsPerMs of the key
 */
export function missesInGap(readsPerMs: number, gapMs: number, ttlMs: number): number {
  if (!(gapMs > 0) || !(readsPerMs > 0)) return 0
  if (gapMs / ttlMs > MAX_TERMS) {
    // The delayed renewal process far from its beginning.
    const wait = 1 / readsPerMs
    const mean = ttlMs + wait
    return Math.max(0, gapMs / mean + (wait ** 2 + mean ** 2) / (2 * mean ** 2) - wait / mean)
  }
  let misses = 0
  for (let before = 0; before * ttlMs <= gapMs; before++) {
    const reads = readsPerMs * (gapMs - before * ttlMs)
    let term = Math.exp(-reads)
    let fewer = term
    for (let count = 1; count <= before; count++) {
      term *= reads / count
      fewer += term
    }
    misses += 1 - Math.min(1, fewer)
  }
  return misses
}

/** Of a key that nobody warms. */
export function missesPerHourUnwarmed(readsPerHour: number, ttlMs: number): number {
  return readsPerHour / (1 + (readsPerHour * ttlMs) / HOUR_MS)
}

/**
 * What readers would find, and what it would cost the origin, if a task were warmed like this. A run warms the most read keys
 * (`select` lists the hottest first), each lives for the TTL less its jitter, and from then until the next run it is as one
 * that nobody warms ({@linkcode missesInGap}). Of a cache that refreshes ahead or serves stale values it says too little.
 */
export function forecast(facts: TaskFacts, { gapsMs, ttlMs, warmed }: Warming): Forecast {
  const { readsPerHour, fillTtlMs, ttlJitter, requestsPerKey, loadMsPerKey } = facts
  const cycleMs = gapsMs.reduce((sum, gap) => sum + gap, 0)
  const counts = new Map<number, number>()
  for (const gap of gapsMs) counts.set(gap, (counts.get(gap) ?? 0) + 1)
  /** Stretches of a cycle in which a key is gone, and their weights. */
  const gone = [...counts].flatMap(([gap, count]) =>
    Array.from({ length: LIVES }, (_, at) => ({
      ms: gap - ttlMs * (1 - (ttlJitter * (at + 0.5)) / LIVES),
      weight: count / LIVES,
    })).filter(({ ms }) => ms > 0),
  )
  const missesWarmed = (reads: number) =>
    gone.reduce((sum, { ms, weight }) => sum + weight * missesInGap(reads / HOUR_MS, ms, fillTtlMs), 0) *
    (HOUR_MS / cycleMs)
  let misses = 0
  let all = 0
  let last: { reads: number; isWarmed: boolean; misses: number } | undefined
  for (const [rank, reads] of readsPerHour.entries()) {
    const isWarmed = rank < warmed
    // Neighbours often have the same rate, as rates come from small counts.
    if (last?.reads !== reads || last.isWarmed !== isWarmed) {
      const ofKey = isWarmed ? missesWarmed(reads) : missesPerHourUnwarmed(reads, fillTtlMs)
      last = { reads, isWarmed, misses: Math.min(ofKey, reads) }
    }
    misses += last.misses
    all += reads
  }
  const warmedPerHour = (warmed * gapsMs.length * HOUR_MS) / cycleMs
  const warmRequestsPerHour = warmedPerHour * requestsPerKey
  return {
    hitRate: all === 0 ? 1 : 1 - misses / all,
    missesPerHour: misses,
    warmRequestsPerHour,
    originRequestsPerHour: warmRequestsPerHour + misses,
    originMsPerHour: loadMsPerKey === null ? null : (warmedPerHour + misses) * loadMsPerKey,
  }
}

/** Share of warmed entries that is read before it expires or is replaced, 0 to 1. */
export function usedShare({ readsPerHour }: TaskFacts, { gapsMs, ttlMs, warmed }: Warming): number {
  if (warmed === 0) return 0
  const lifeMs = Math.min(ttlMs, gapsMs.reduce((sum, gap) => sum + gap, 0) / gapsMs.length)
  const used = readsPerHour.slice(0, warmed).reduce((sum, reads) => sum + 1 - Math.exp((-reads * lifeMs) / HOUR_MS), 0)
  return used / warmed
}
