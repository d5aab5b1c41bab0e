import type { Fence } from './coordination/types.ts'
import type { Failure } from './errors.ts'
import type { JobSource } from './events/types.ts'

/** What became of one planned key. Every planned key ends in exactly one. */
export type Outcome = 'written' | 'skipped_present' | 'skipped_newer' | 'failed' | 'unknown'

/** How many keys ended in which outcome; `planned` is their sum once the job has ended. */
export interface KeyCounts {
  planned: number
  written: number
  skippedPresent: number
  skippedNewer: number
  failed: number
  unknown: number
}

/** How a write treats what the store already holds. */
export type WriteMode = 'overwrite' | 'add' | 'newer'

/** How a job's keys are ranked: a strategy that is built in, or one of the configuration's `strategies`. */
export type StrategyName = 'selective' | 'breadth' | 'priority' | (string & Record<never, never>)

/**
 * How a value becomes a Redis value: fields of a hash, JSON text, text as it is, one column as text, or as another cache library
 * stores it. Such a library reads the warmed key as its own; the task's key template must give the whole key that it asks Redis
 * for:
 * - `'keyv'`: Keyv 5 with @keyv/redis 5, cache-manager 7, cacheable 2. `createKeyv(url)`: `film:{id}` for `film:1`;
 *   `createKeyv(url, { namespace: 'app' })`: `app::film:{id}`; `new Keyv({ store: new KeyvRedis(url) })`:
 *   `keyv::keyv:film:{id}`, with its own `namespace: 'app'` `app::app:film:{id}`.
 * - `'bentocache'`: bentocache 1, Redis driver, JSON serializer. `bentocache:film:{id}`; with `prefix: 'app'` `app:film:{id}`, in
 *   `namespace('shop')` `bentocache:shop:film:{id}`. Without tags and grace.
 * - `'unstorage'`: unstorage 1, Redis driver. `film:{id}`, with `base: 'app'` `app:film:{id}`; `/` in a key is `:` there, and the
 *   mount point is no part of it.
 * - `'nitro:…'`: a cached function of Nitro 2; behind the colon the `integrity` that it must declare. With `cache` mounted on
 *   the Redis driver, its `name: 'film'` and its `getKey`: `nitro:functions:film:{id}.json`.
 * - `'cachified'`: cachified 5 with cachified-redis-adapter. Its `key` is the key.
 *
 * They hold the time at which the value expires, by the warmer's clock, and are read by that of the reader.
 */
export type ValueSpec =
  | 'hash'
  | 'json'
  | 'string'
  | 'keyv'
  | 'bentocache'
  | 'unstorage'
  | 'cachified'
  | `nitro:${string}`
  | { column: string }

/** Values for a task's declared parameters. */
export type Params = Record<string, unknown>

/** `queued` and `running` are on the way; the others are final. */
export type JobStatus = 'queued' | 'running' | 'success' | 'partial' | 'failed' | 'cancelled' | 'skipped'

export type FinalStatus = Exclude<JobStatus, 'queued' | 'running'>

/** Time from the start of a key's origin read until Redis confirmed its write, in nanoseconds. */
export interface LatencyNs {
  p50: number
  p95: number
  p99: number
  max: number
}

export interface TaskResult {
  task: string
  priority: number
  status: FinalStatus
  keys: KeyCounts
  /** Keys not warmed because another job had them queued or in flight already; not part of `keys.planned`. */
  deduplicated: number
  /** Keys that Redis had no room for; not part of `keys.planned`. Absent: none. */
  leftOut?: number
  /** Keys that were listed and that the strategy did not choose; not part of `keys.planned`. Absent: none. */
  notChosen?: number
  durationNs: number
  originRequests: number
  firstError: Failure | null
}

/** What a job left out so that Redis would not drop hotter keys, or refuse it. */
export interface MemoryReport {
  /** Keys; not part of `keys.planned`. */
  leftOut: number
  /** False: the rest of a query is among them, which nobody has counted; what the database guessed of it is in the number. */
  isExact: boolean
  reason: string
  usedMemoryBytes: number
  maxMemoryBytes: number
  evictionPolicy: string
  /** Keys that Redis dropped while the job ran, for whomever; null: not known. */
  evictedKeys: number | null
}

/** What `prewarm run --json` prints: one job, told to the end. */
export interface JobResult {
  jobId: string
  traceId: string
  status: FinalStatus
  /** ISO 8601 */
  startedAt: string
  /** ISO 8601 */
  endedAt: string
  durationNs: number
  keys: KeyCounts
  /** Share of the planned keys that are in the store and unexpired when the job ends, 0 to 1. Not the hit rate. */
  coverage: number
  latencyNs: LatencyNs
  tasks: TaskResult[]
  /** Absent: nothing was left out. */
  memory?: MemoryReport
}

/** A request to warm. Without tasks, tags or `critical`: everything that is declared. */
export interface JobRequest {
  /** Tasks by name; with `tags` and `critical` the selection is the intersection. */
  tasks?: readonly string[]
  /** Only tasks that bear at least one of these. */
  tags?: readonly string[]
  /** Only tasks declared critical. */
  critical?: boolean
  /** Replaces every selected task's own priority. Larger is warmer and runs first. */
  priority?: number
  /** Values for the selected tasks' parameters; each must be declared by at least one of them. */
  params?: Params
  /** At most this many keys of each task, hottest first. */
  count?: number
  /** Keys in a batch, rows in a page. @default maxBatchSize, or pageRows for queries */
  batchSize?: number
  /** Pause between two batches of a task, in ms. @default 0 */
  batchDelayMs?: number
  /** Bound on the whole job, in ms. @default 300_000 */
  timeoutMs?: number
  /** W3C trace id to join, 32 hex digits. @default a random one */
  traceId?: string
  /** The caller's span in that trace, 16 hex digits. */
  parentSpanId?: string
  /** Only these keys; each is warmed by the task whose key template it matches. Keys that match none are left out. */
  keys?: readonly string[]
  /** Instead of the tasks' own TTL, ms. */
  ttlMs?: number
  /** @default defaultStrategy */
  strategy?: StrategyName
  /** `given`: keys in the order listed or named, and tasks by their priority. @default 'ranked'; 'given' for `keys` without `strategy` */
  order?: 'given' | 'ranked'
  /** What sets it going. @default 'program' */
  source?: JobSource
  /** The schedule that fired. */
  schedule?: string
  /** Writes are refused once somebody holds a newer one. */
  fence?: Fence
  /** Cancels the job when it aborts. Not remembered across restarts. */
  signal?: AbortSignal
}

/** One task of a plan: what a job would do, in order. */
export interface PlanEntry {
  task: string
  key: string
  priority: number
  kind: 'sql' | 'load' | 'http'
  value: string
  mode: WriteMode
  ttlMs: number
  /** Exact number of keys the task would warm now, where it could be counted. */
  keys: number | null
  batches: number | null
  originRequests: number | null
  /** The first keys, in the order of the strategy. */
  sample: string[]
  error: Failure | null
}

/** One key of a plan, with what its place came from. */
export interface ExplainedKey {
  /** 1 goes first; equals take turns, batch by batch. */
  rank: number
  key: string
  task: string
  priority: number
  /** By name, in the order in which the strategy tells them; null: not known. `readsPerHour` and `costMs` are of one key. */
  why: Readonly<Record<string, number | null>>
}

/** Why a plan is in its order. */
export interface PlanExplanation {
  strategy: string
  /** False: nobody has told of a read in the last hour. */
  readsKnown: boolean
  keys: ExplainedKey[]
}

/** How far a running task is. `total` is null while nobody knows, `estimated` when the database only guesses. */
export interface TaskProgress {
  task: string
  done: number
  total: number | null
  estimated: boolean
  failed: number
  keysPerSecond: number
  finished: boolean
}
