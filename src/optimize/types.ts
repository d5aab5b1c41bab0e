export type OptimizedField = 'interval' | 'limit' | 'ttl' | 'priority'

/** What is known of a task that a schedule warms. Times in ms. */
export interface TaskFacts {
  task: string
  /** The schedule that warms it. */
  schedule: string
  /** The pauses between its next runs; at least one. */
  gapsMs: readonly number[]
  /** Each run begins up to this much later. */
  jitterMs: number
  /** How long what is warmed lives at most, and by which share of that a key may expire early. */
  ttlMs: number
  ttlJitter: number
  /** How long what a reader's miss fills lives. */
  fillTtlMs: number
  /** False: a run leaves what is there as it is (mode `add`), and does not renew its life. */
  renews: boolean
  /** At most so many keys a run; null: as many as there are. */
  limit: number | null
  /** Whether the task's parameters take that limit. */
  takesLimit: (limit: number) => boolean
  /** Keys that a run warms. */
  warmed: number
  /** `warmed` is not measured: no run of it is remembered. */
  isAssumed: boolean
  /** Requests to the origin by warmed key; a reader's miss is one request. */
  requestsPerKey: number
  /** Null: not measured. */
  loadMsPerKey: number | null
  priority: number
  /** What the configuration, or the user's own schedule, says. */
  declaredPriority: number
  critical: boolean
  /** Reads an hour of each of its keys that was read, the most read one first. */
  readsPerHour: readonly number[]
  /** Reads of its keys that are known of. */
  reads: number
  /** Keys that were read less may be missing in `readsPerHour`. */
  isPartial: boolean
  /** Entries that warming wrote, and how many were read; null where nobody tells. */
  seen: { warmed: number; read: number } | null
}

/** What is known of all of them. */
export interface Facts {
  tasks: readonly TaskFacts[]
  /** For how long reads are known, ms. */
  observedMs: number
  /** Requests a second that the origin may get. */
  maxOriginRps: number
}

/** What changes of a task's schedule. `interval` and `ttl` in ms. */
export interface Change {
  task: string
  /** The schedule that warms it now. */
  schedule: string
  field: OptimizedField
  /** Null: no limit. An interval is the mean one, where runs are not evenly spaced. */
  from: number | null
  to: number
  /** With the numbers it comes from. */
  reason: string
}

export interface FromTo {
  from: number
  to: number
}

/** What the changes of a task would do, by the model of {@linkcode forecast}. */
export interface Expected {
  task: string
  /** Of reads of its keys, 0 to 1. */
  hitRate: FromTo
  /** By warming and by readers' misses. */
  originRequestsPerHour: FromTo
  /** Time that the origin works for it; null where no load was measured. */
  originMsPerHour: FromTo | null
}

/** A task that stays as it is, and why. */
export interface Unchanged {
  task: string
  reason: string
}

export interface Proposal {
  /** Tasks with at least one change. */
  tasksOptimized: number
  changes: Change[]
  expected: Expected[]
  unchanged: Unchanged[]
}

/** Names of schedules that were touched. */
export interface Touched {
  /** Registered, or replaced by another version. */
  added: string[]
  removed: string[]
  paused: string[]
  resumed: string[]
}

export interface OptimizeOptions {
  /** Registers what is proposed. @default false */
  apply?: boolean
  /** Instead: takes back what was registered, and lets the schedules go on that were paused for it. @default false */
  revert?: boolean
}

export interface Optimization extends Proposal {
  /** What was done; null: nothing was asked for. */
  applied: Touched | null
}
