import type { PoolFigures } from './gain-log.ts'
import type { ReadTotals } from './read-counters.ts'

/** What readers find, and how much waits. */
export interface CacheWarmingStats {
  cache: {
    enabled: boolean
    /** Hits of all reads, 0 to 1; null before the first read. */
    hitRate: number | null
    /** Reads served without the origin, stale ones included. */
    hits: number
    misses: number
    /** Layers that could not be asked, and loads that failed. */
    errors: number
    /** Keys, or tags, that were invalidated. */
    invalidations: number
    /** How long a value is fresh where nothing else is said, seconds. */
    ttl: number
  }
  /** Null where nobody tells of one. */
  pool: PoolFigures | null
  config: {
    /** Sessions that a warm-up takes; null where no task warms sessions. */
    defaultSessionCount: number | null
    /** Keys of a batch. */
    batchSize: number
    /** How recently a session must have been used to be warmed; null where no task warms sessions. */
    recentWindowHours: number | null
  }
}

/** What is wrong, how much so, and what to do about it. */
export interface Verdict {
  level: 'ok' | 'warning' | 'critical'
  what: 'hit_rate' | 'errors' | 'pool_pending'
  /** A share from 0 to 1, or a number of things; null before the first read, or where nobody tells. */
  value: number | null
  /** What `value` has passed; where it is ok, what it should not. */
  threshold: number
  /** Null where nothing need be done. */
  advice: string | null
}

/** Where it begins to be worth somebody's attention. A value that is just there is not past it. */
export const THRESHOLDS = {
  /** Share of reads; below. */
  hitRate: { warning: 0.8, critical: 0.5 },
  /** Errors by reads; above. */
  errors: { warning: 0.05 },
  /** Tasks that wait; above. */
  poolPending: { warning: 10, critical: 20 },
} as const

const ADVICE = {
  noReads: 'no reads yet: read through createCache, or tell of reads by warmer.recordRead',
  hitRateLow:
    'warm more of what is read (a larger limit, predictive schedules), or warm before it expires (a longer ttl, a shorter interval)',
  hitRateCritical:
    'look whether warming runs at all (`prewarm run`, its exit code and coverage), whether readers use the same keys, and whether Redis evicts them',
  errors:
    'see the logs for the layer: Redis (redisTimeout, memory, network), or loads that fail (loadTimeout, the origin)',
  pendingHigh: 'raise workers and concurrentWarmers, or spread the schedules',
  pendingCritical:
    'the origin is too slow for what is asked of it: look for an emergency stop, raise maxOriginRps if it can bear more, else warm less',
}

/** Hits of all reads, 0 to 1; null before the first read. */
export function hitRateOf({ hits, misses }: Pick<ReadTotals, 'hits' | 'misses'>): number | null {
  const reads = hits + misses
  return reads > 0 ? hits / reads : null
}

/** @param of `ttlMs`: how long a value is fresh where nothing else is said */
export function warmingStats(of: {
  enabled: boolean
  reads: ReadTotals
  ttlMs: number
  pool: PoolFigures | null
  config: CacheWarmingStats['config']
}): CacheWarmingStats {
  const { enabled, reads, ttlMs, pool, config } = of
  const { hits, misses, errors, invalidations } = reads
  const cache = { enabled, hitRate: hitRateOf(reads), hits, misses, errors, invalidations, ttl: ttlMs / 1000 }
  return { cache, pool, config }
}

/** What there is to say about each figure, always in the same order: the hit rate, errors, what waits. */
export function verdictOf({ cache, pool }: Pick<CacheWarmingStats, 'cache' | 'pool'>): Verdict[] {
  return [hitRateVerdict(cache), errorsVerdict(cache), pendingVerdict(pool)]
}

function hitRateVerdict({ hitRate: value }: CacheWarmingStats['cache']): Verdict {
  const { warning, critical } = THRESHOLDS.hitRate
  const what = 'hit_rate'
  if (value === null) return { level: 'ok', what, value, threshold: warning, advice: ADVICE.noReads }
  if (value < critical) return { level: 'critical', what, value, threshold: critical, advice: ADVICE.hitRateCritical }
  if (value < warning) return { level: 'warning', what, value, threshold: warning, advice: ADVICE.hitRateLow }
  return { level: 'ok', what, value, threshold: warning, advice: null }
}

function errorsVerdict({ hits, misses, errors }: CacheWarmingStats['cache']): Verdict {
  const threshold = THRESHOLDS.errors.warning
  // A read whose load failed may be no hit and no miss.
  const of = Math.max(hits + misses, errors)
  const value = of > 0 ? errors / of : null
  if (value === null || value <= threshold) return { level: 'ok', what: 'errors', value, threshold, advice: null }
  return { level: 'warning', what: 'errors', value, threshold, advice: ADVICE.errors }
}

function pendingVerdict(pool: PoolFigures | null): Verdict {
  const { warning, critical } = THRESHOLDS.poolPending
  const what = 'pool_pending'
  const value = pool?.pending ?? null
  if (value !== null && value > critical)
    return { level: 'critical', what, value, threshold: critical, advice: ADVICE.pendingCritical }
  if (value !== null && value > warning)
    return { level: 'warning', what, value, threshold: warning, advice: ADVICE.pendingHigh }
  return { level: 'ok', what, value, threshold: warning, advice: null }
}
