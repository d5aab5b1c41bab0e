import type { Clock } from '../clock.ts'
import type { Task } from '../config/task.ts'
import type { Fence } from '../coordination/types.ts'
import type { Work } from '../origin/types.ts'
import type { Params } from '../types.ts'

/** One batch of a lane: what to read, and which try it is. */
export interface Unit {
  work: Work
  attempt: number
  /** Keys or rows it accounts for; null where nobody knows (a page of a stream). */
  keys: number | null
  /** The stream's pages all go to the worker that holds its cursor. */
  worker: number | undefined
  /** Absent: the lane's own. */
  priority?: number | undefined
  /** Only keys that the store holds already are wanted. */
  onlyPresent?: boolean
  /** Of its keys, those that a worker that was lost may have written in an earlier try. */
  maybeWritten?: number
}

export interface LaneOptions {
  task: Task
  priority: number
  params: Params
  batchSize: number
  batchDelayMs: number
  backoffBaseMs: number
  /** Instead of the task's, ms. */
  ttlMs?: number | undefined
  fence?: Fence | undefined
  clock: Clock
  random: () => number
}
