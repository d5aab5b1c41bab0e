import type { SqlTask } from '../config/task.ts'
import { type Failure, toFailure } from '../errors.ts'
import type { Warmer } from '../warmer.ts'
import { firstKeys } from './plan.ts'
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
}

/** Planned keys of a task that are looked for. */
const CHECKED = 1000

/** What the store holds of each task's plan, and how Redis fares. */
export async function stats(warmer: Warmer, selected: readonly Selected[], signal: AbortSignal): Promise<Stats> {
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
): Promise<string[]> {
  if (task.kind === 'sql') return firstKeys(warmer, task satisfies SqlTask, params, CHECKED, signal)
  const plan = await warmer.planOf(task, params, { count: CHECKED, batchSize, signal })
  return plan.kind === 'keys' ? plan.keys : []
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}
