import type { Task } from '../config/task.ts'
import type { WarmerStatus } from '../facade.ts'
import type { PoolFigures } from './gain-log.ts'
import type { CacheWarmingStats } from './stats.ts'

/** A warmer's workers, and the tasks that wait for them. */
export function poolOf({ workers, queuedTasks }: Pick<WarmerStatus, 'workers' | 'queuedTasks'>): PoolFigures {
  const available = workers.filter(({ state }) => state === 'idle').length
  return { size: workers.length, available, pending: queuedTasks }
}

/**
 * How much the task that warms sessions warms by default: the one called `sessions`, else the first that bears that tag; its
 * parameters `limit`, and `hours` or `days`.
 */
export function sizesOf(tasks: ReadonlyMap<string, Task>, maxBatchSize: number): CacheWarmingStats['config'] {
  const task = tasks.get('sessions') ?? [...tasks.values()].find(({ tags }) => tags.includes('sessions'))
  const { limit, hours, days } = defaultsOf(task)
  return {
    defaultSessionCount: numberOr(limit, null),
    batchSize: task?.batchSize ?? maxBatchSize,
    recentWindowHours: numberOr(hours, typeof days === 'number' ? days * 24 : null),
  }
}

/** None where a parameter has no default. */
function defaultsOf(task: Task | undefined): Record<string, unknown> {
  try {
    return task?.params.parse({}) ?? {}
  } catch {
    return {}
  }
}

function numberOr(value: unknown, otherwise: number | null): number | null {
  return typeof value === 'number' ? value : otherwise
}
