import type { CacheFacade, LoadContext, SetOutcome } from '../../cache/types.ts'
import { type Clock, systemClock } from '../../clock.ts'
import type { Duration } from '../../config/duration.ts'
import { PrewarmError } from '../../define.ts'
import { type WarmingHandle, WarmingLoop } from './loop.ts'
import { PredictedKeys, type PredictedRun, type Predicts } from './predicted.ts'
import { CriticalTasks, type TaskDetails } from './tasks.ts'

/** One value of the catalogue, and how it is computed. */
export interface CatalogueValue<T = unknown> {
  key: string
  /** Computes it; `null` or `undefined`: there is none. `signal` aborts at the cache's `loadTimeout`. */
  compute: (context: LoadContext) => PromiseLike<T | null | undefined> | T | null | undefined
  /** @default the cache's own for this key */
  ttl?: Duration
  /** Tags to invalidate it by. @default [] */
  tags?: readonly string[]
}

export interface CriticalTask<T = unknown> extends CatalogueValue<T> {
  /** Larger is warmer and runs first. @default 0 */
  priority?: number
}

export interface StartWarmingOptions {
  /** From the beginning of one round to that of the next; one that takes longer puts the next off. 0.01 to 10_080. @default 15 */
  intervalMinutes?: number
  /** Warms the keys that are predicted to be hot next. Needs a `warmer`. @default false */
  enablePatternWarming?: boolean
  /** Warms what `registerCriticalTask` was told. @default true */
  enableCriticalWarming?: boolean
}

export interface WarmingStats {
  /** A loop is on. */
  running: boolean
  /** How many critical tasks are registered. */
  tasks: number
  /** Their keys, in the order in which they are warmed. */
  criticalKeys: string[]
  /** In the same order. */
  taskDetails: TaskDetails[]
  /** Of the predicted keys; null: never yet. */
  lastPatternRun: PredictedRun | null
}

export interface CatalogueWarmerOptions {
  cache: Pick<CacheFacade, 'warm'>
  /** For pattern warming: what it predicts, it warms by its own tasks. */
  warmer?: Predicts
  /** Critical tasks that are computed at once. 1 to 100. @default 4 */
  concurrency?: number
  /** Predicted keys of one round. 1 to 10_000. @default 100 */
  patternLimit?: number
  clock?: Clock
}

export interface CatalogueWarmer {
  /**
   * Has a value warmed in every round from the next on; the returned function ends that.
   *
   * @throws {PrewarmError} `USAGE` for a key that is empty or registered already
   */
  registerCriticalTask<T>(task: CriticalTask<T>): () => void
  /**
   * Warms now, and then at each interval; rounds never overlap, and what fails in one is tried again in the next. While it
   * runs, each further call gets the same handle, whatever it asks for.
   *
   * @throws {PrewarmError} `USAGE` for an interval out of bounds, and for pattern warming without a warmer
   */
  startCacheWarming(options?: StartWarmingOptions): WarmingHandle
  /** Computes one value now and caches it, unless something newer comes meanwhile. @throws what `compute` throws */
  warmCache<T>(value: CatalogueValue<T>): Promise<SetOutcome | 'no_value'>
  getWarmingStats(): WarmingStats
}

/**
 * Keeps the values that a catalogue can't do without in the cache: critical ones by name, others by how they are read.
 *
 * @throws {PrewarmError} `USAGE` naming an option out of bounds
 */
export function createCatalogueWarmer(options: CatalogueWarmerOptions): CatalogueWarmer {
  const { cache, warmer, concurrency = 4, patternLimit = 100, clock = realClock() } = options
  inBounds('concurrency', concurrency, 1, 100, true)
  inBounds('patternLimit', patternLimit, 1, 10_000, true)
  const critical = new CriticalTasks({ cache, clock, concurrency })
  const predicted = warmer === undefined ? undefined : new PredictedKeys({ warmer, clock, limit: patternLimit })
  let loop: WarmingLoop | undefined

  return {
    registerCriticalTask: (task) => critical.add(task),
    startCacheWarming({ intervalMinutes = 15, enablePatternWarming = false, enableCriticalWarming = true } = {}) {
      if (loop?.isRunning) return loop
      inBounds('intervalMinutes', intervalMinutes, 0.01, 10_080, false)
      if (enablePatternWarming && predicted === undefined) {
        throw new PrewarmError(
          'USAGE',
          'enablePatternWarming is true, but nothing predicts: give createCatalogueWarmer a warmer, or leave it out',
        )
      }
      const round = async (signal: AbortSignal) => {
        if (enableCriticalWarming) await critical.warmAll(signal)
        if (enablePatternWarming) await predicted?.warm(signal)
      }
      loop = new WarmingLoop({ round, intervalMs: intervalMinutes * 60_000, clock, before: loop?.stop() })
      return loop
    },
    warmCache: ({ key, compute, ...entry }) => cache.warm(key, { ...entry, load: (_, context) => compute(context) }),
    getWarmingStats() {
      const taskDetails = critical.details()
      return {
        running: loop?.isRunning ?? false,
        tasks: taskDetails.length,
        criticalKeys: taskDetails.map(({ key }) => key),
        taskDetails,
        lastPatternRun: predicted?.last ?? null,
      }
    },
  }
}

function inBounds(name: string, value: number, min: number, max: number, isWhole: boolean): void {
  if (value >= min && value <= max && (!isWhole || Number.isInteger(value))) return
  throw new PrewarmError(
    'USAGE',
    `${name} is ${value}, expected a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`,
  )
}

function realClock(): Clock {
  return systemClock(() => performance.now() * 1e6)
}
