import type { SqlTask } from '../config/task.ts'
import { RedisJobLog } from '../coordination/job-log.ts'
import { type Failure, toFailure } from '../errors.ts'
import { gainFigures } from '../gain/figures.ts'
import { type WarmingPerformance, warmingPerformance } from '../gain/performance.ts'
import type { ReadTotals } from '../gain/read-counters.ts'
import { type CacheWarmingStats, type Verdict, verdictOf, warmingStats } from '../gain/stats.ts'
import type { JobResult } from '../types.ts'
import type { Warmer } from '../warmer.ts'
import { firstKeys } from './plan.ts'
import { type HotKeys, learnedUntil } from './predict.ts'
import type { Selected } from './select.ts'

/** How much of one task's plan the store holds now. */
export interface TaskCoverage {
  task: string
  /** Planned keys that were looked for, hottest first. */
  checked: number
  present: number
  /** Present of checked, 0 to 1; null where nothing could be checked. */
  coverage: number | null
  error: Failure | null
}

export interface Stats {
  coverage: number | null
  tasks: TaskCoverage[]
  redis: {
    version: string
    usedMemoryBytes: number
    maxMemoryBytes: number
    evictionPolicy: string
    evictedKeys: number
    hits: number
    misses: number
    /** Hits of all reads since the server started, 0 to 1; null before the first read. */
    hitRate: number | null
  }
  gain: Gain | null
  /** Why there is no `gain`. */
  gainError: Failure | null
  /** How well it is predicted which keys are read; null where Redis does not let us look. */
  prediction: PredictionFigures | null
}

/** What prediction has learned from, and how predictions of the last window did. */
export type PredictionFigures = Omit<HotKeys, 'keys'>

/** What readers found in the last hour, and what warming did for them; of all processes that tell. */
export interface Gain {
  /** `warmHits`: hits on what warming had filled. `ttl` in seconds. */
  cache: Omit<CacheWarmingStats['cache'], 'enabled'> & Pick<ReadTotals, 'stale' | 'warmHits'>
  /** Of all services on this Redis; null where none runs. */
  pool: CacheWarmingStats['pool']
  verdict: Verdict[]
  performance: WarmingPerformance
}

/** Planned keys of a task that are looked for. */
const CHECKED = 1000

/**
 * What the store holds of each task's plan, how Redis fares, and what warming has gained.
 *
 * @param jobs that Redis may not remember
 */
export async function stats(
  warmer: Warmer,
  selected: readonly Selected[],
  signal: AbortSignal,
  jobs: readonly JobResult[] = [],
): Promise<Stats> {
  // Redis counts our own look-ups as reads, so its figures are taken first.
  const { keyspaceHits: hits, keyspaceMisses: misses, ...server } = await warmer.store.stats()
  const tasks: TaskCoverage[] = []
  for (const one of selected) tasks.push(await coverageOf(warmer, one, signal))
  const checked = tasks.reduce((sum, task) => sum + task.checked, 0)
  const present = tasks.reduce((sum, task) => sum + task.present, 0)
  return {
    coverage: share(present, checked),
    tasks,
    redis: { ...server, hits, misses, hitRate: share(hits, hits + misses) },
    ...(await gainOf(warmer, jobs)),
    prediction: await predictionOf(warmer),
  }
}

/** A Redis that lets us look at values only, and not at our own records, leaves the rest of the figures. */
async function gainOf(
  warmer: Warmer,
  jobs: readonly JobResult[],
): Promise<{ gain: Gain | null; gainError: Failure | null }> {
  const { commands, clock, instance, config } = warmer
  const { settings } = config
  try {
    const figures = await gainFigures({ commands, clock })
    const noted = await new RedisJobLog({ commands, clock, instance }).list()
    const results = noted.flatMap(({ result }) => result ?? [])
    const { cache, pool } = warmingStats({
      enabled: true,
      reads: figures.reads,
      ttlMs: settings.defaultTtlMs,
      pool: figures.pool,
      config: { defaultSessionCount: null, batchSize: settings.maxBatchSize, recentWindowHours: null },
    })
    const { enabled: _enabled, ...told } = cache
    const { stale, warmHits } = figures.reads
    const gain = {
      cache: { ...told, stale, warmHits },
      pool,
      verdict: verdictOf({ cache, pool }),
      performance: warmingPerformance([...jobs, ...results], figures, clock.nowMs()),
    }
    return { gain, gainError: null }
  } catch (error) {
    return { gain: null, gainError: toFailure(error) }
  }
}

async function predictionOf(warmer: Warmer): Promise<PredictionFigures | null> {
  try {
    const { predictor, windowMs, windows, scores, ...status } = await warmer.prediction()
    const told = scores.map(({ toMs: _, ...score }) => score)
    return { predictor, windowMs, learnedUntil: learnedUntil(status), windows, scores: told }
  } catch {
    return null
  }
}

async function coverageOf(warmer: Warmer, selected: Selected, signal: AbortSignal): Promise<TaskCoverage> {
  const task = selected.task.name
  try {
    const keys = await plannedKeys(warmer, selected, signal)
    const ttls = await warmer.store.ttlsMs(keys)
    const present = ttls.filter((ttlMs) => ttlMs !== -2).length
    return { task, checked: keys.length, present, coverage: share(present, keys.length), error: null }
  } catch (error) {
    if (signal.aborted) throw error
    return { task, checked: 0, present: 0, coverage: null, error: toFailure(error) }
  }
}

async function plannedKeys(
  warmer: Warmer,
  { task, params, batchSize }: Selected,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (task.kind === 'sql') return firstKeys(warmer, task satisfies SqlTask, params, CHECKED, signal)
  const plan = await warmer.planOf(task, params, { count: CHECKED, batchSize, signal })
  return plan.kind === 'keys' ? plan.keys : []
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}
