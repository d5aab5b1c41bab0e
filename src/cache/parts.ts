import type { Clock } from '../clock.ts'
import type { Task } from '../config/task.ts'
import type { Origin } from '../origin/types.ts'
import type { CacheLimits } from './options.ts'
import type { SharedTier } from './tier.ts'
import type { CacheObserver } from './types.ts'

/** What a cache is put together from. */
export interface CacheParts {
  tier: SharedTier
  clock: Clock
  /** From 0 (inclusive) to 1. */
  random: () => number
  limits: CacheLimits
  tasks: Iterable<Task>
  originOf: (task: Task) => Origin
  observer: CacheObserver
  /** Run by `close`, each even if another throws. */
  cleanUps: (() => Promise<void> | void)[]
}
