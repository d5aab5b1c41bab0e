/** What warming a key of a task costs, as measured. */
export interface TaskCost {
  /** Time to load one key from the origin, ms; the mean. */
  loadMs: number
  /** Size of one key's value; the mean. Null: not measured. */
  bytes: number | null
  /** Keys that were measured. */
  keys: number
}

/** What is known of what tasks' keys cost, by the task's name; a task that was never measured is missing. */
export type TaskCosts = ReadonlyMap<string, TaskCost>

/** Nothing was measured. */
export const NO_COSTS: TaskCosts = new Map()

/** What a strategy may go by: one task of a job. */
export interface StrategyContext {
  readonly task: string
  /** The task's priority, or the one that the request gives instead. */
  readonly importance: number
  /** The same of all the job's tasks, each number once, highest first. */
  readonly importances: readonly number[]
  /** At most so many keys are warmed; null: all. */
  readonly count: number | null
  /** Reads an hour, by the access log; 0: none is known of. */
  readsPerHour(key: string): number
  /** Of the keys that were read; 0: no read of any key is known. */
  readonly meanReadsPerHour: number
  /** Of the key that was read least, of those that were read; 0 as above. */
  readonly leastReadsPerHour: number
  /** Of one key of this task: the time to load it, and to send it at 100 MB/s. Null: not measured. */
  readonly costMs: number | null
  /** Of the tasks that were measured, the mean; null: none was. */
  readonly meanCostMs: number | null
  /** How many `:` the key has; where the task declares a `parent`, one more than the parent's keys. */
  depth(key: string): number
}

/** Keys in the order in which they are to be warmed. */
export interface Ranking {
  /** Of those that were given, each at most once. What is missing is not warmed by this job. */
  readonly keys: readonly string[]
  /** One for all keys, or one for each, in their order; finite, and none higher than the one before. Larger runs first. */
  readonly priorities: number | ArrayLike<number>
}

/** What a key's priority came from: numbers by name, in the order to show them in. Null: not known. */
export type Explanation = Readonly<Record<string, number | null>>

/** One query of a job; its keys are not known before it is read. */
export interface QueryFacts {
  /** Of one of its keys, the mean; 0 as for a key. */
  readonly readsPerHour: number
  /** Of its key template, as of a key. */
  readonly depth: number
}

/** Chooses the keys of a job that are to be warmed, and their order. */
export interface Strategy {
  /**
   * Ranks one task's keys. The same input must give the same output; it is called on the main thread, so it should be quick.
   * What it throws, a bad ranking, or more time than the task's `timeoutMs` fails the task with `CONFIG_INVALID`.
   *
   * @param keys in the order in which `select` lists them, none twice
   */
  rank(keys: readonly string[], context: StrategyContext): Ranking | PromiseLike<Ranking>
  /** The priority of a query's batches, which keep the query's order; finite. @default the importance */
  rankQuery?(query: QueryFacts, context: StrategyContext): number
  /** What a priority came from. @default importance, reads an hour, cost and depth */
  explain?(of: QueryFacts, context: StrategyContext): Explanation
  /**
   * Tasks of a higher level are planned, and so begin, only when those of a lower one have been. Finite; what it throws fails the
   * whole job with `CONFIG_INVALID`. @default all are of one level
   */
  level?(query: QueryFacts): number
}
