import type { Config } from './config/load.ts'
import type { Commands, HotKey, JobRecord, ScheduleRecord, ScheduleSpec } from './coordination/types.ts'
import type { Failure } from './errors.ts'
import type { EventLog } from './events/event-log.ts'
import type { JobHandle } from './job/job.ts'
import type { ToldReads } from './learn/told.ts'
import type { Optimization, OptimizeOptions } from './optimize/types.ts'
import type { PredictionStatus, PredictorName } from './predict/types.ts'
import type { StartupOutcome } from './schedule/startup.ts'
import type { JobRequest, StrategyName } from './types.ts'

/** What may be changed while running. Times in ms. A field that is absent stays as it is. */
export interface Changes {
  maxOriginRps?: number
  /** Also bounds the number of workers: none is kept that could never have a batch. */
  concurrentWarmers?: number
  maxBatchSize?: number
  defaultTtlMs?: number
  originTimeoutMs?: number
  retryAttempts?: number
  backoffBaseMs?: number
  emergencyThresholdMs?: number
  defaultStrategy?: StrategyName
  /** 0 to 64, and at least 1 where workers are threads. */
  workers?: number
}

export interface WorkerStatus {
  id: string
  state: 'starting' | 'idle' | 'busy'
  /** First key, or the task, of the batch that it has had the longest. */
  currentKey: string | null
  /** ISO 8601: when that batch was sent. */
  startedAt: string | null
}

/** Whether the origin may be asked at all. */
export type EmergencyState =
  | { state: 'none' }
  | { state: 'stopped'; by: 'hand' | 'origin'; reason: string; since: string }
  /** A few batches find out whether the origin has recovered. */
  | { state: 'probing'; since: string }

/** Sums since the process began. */
export interface Totals {
  jobs: number
  succeeded: number
  failed: number
  originRequests: number
  cacheWrites: number
  rateLimitHits: number
  emergencyStops: number
  /** Of jobs that have ended, ms; 0 before the first. */
  averageDurationMs: number
}

export interface WarmerStatus {
  running: boolean
  activeJobs: number
  queuedTasks: number
  /** Queued tasks by priority. */
  queueDepth: ReadonlyMap<number, number>
  workers: WorkerStatus[]
  emergency: EmergencyState
  totals: Totals
}

export interface HaltResult {
  /** True: after this no write comes from any worker. */
  settled: boolean
  /** Batches that were told to stop and are queued again. */
  halted: number
}

export interface ClearResult {
  matched: number
  deleted: number
  /** Some of them. */
  sample: string[]
  dryRun: boolean
}

export interface Matched {
  /** Hottest first, as far as that is known; each is of a known keyspace. */
  keys: string[]
  /** There are more than were asked for. */
  truncated: boolean
}

/** A schedule, with when it runs next. */
export interface ScheduleView extends ScheduleRecord {
  /** ISO 8601; null while it is paused, or if it never runs again. */
  nextRunAt: string | null
  running: boolean
}

/** Keeps the schedules. */
export interface Schedules {
  list(): Promise<ScheduleView[]>
  /**
   * @param options `replace`: one that was registered under this name is replaced, in one step
   * @throws {PrewarmError} `REQUEST_INVALID` for a spec that can't be met, `CONFLICT` for a name that is taken
   */
  add(name: string, spec: Partial<ScheduleSpec>, options?: { replace?: boolean }): Promise<ScheduleView>
  /** @throws {PrewarmError} `NOT_FOUND`; `CONFLICT` for one that the configuration declares: pause it instead */
  remove(name: string): Promise<void>
  /** @throws {PrewarmError} `NOT_FOUND` */
  pause(name: string): Promise<ScheduleView>
  resume(name: string): Promise<ScheduleView>
  /**
   * Runs it now, under its lock.
   *
   * @throws {PrewarmError} `NOT_FOUND`, `CONFLICT` if it runs already (here or elsewhere), `KEYS_UNMATCHED` if it warms
   * only what is predicted and nothing is, `STORE_UNREACHABLE`, `STOPPED`, and what `submit` throws
   */
  runNow(name: string, traceId?: string): Promise<JobHandle>
  start(): Promise<void>
  /** No run begins any more; resolves when its loops have ended. Jobs that it began are the warmer's. */
  stop(): Promise<void>
  /** Resolves when every run that was begun is noted and its lock released: after their jobs. */
  settled(): Promise<void>
}

export interface Readiness {
  ready: boolean
  /** What can't be reached. */
  failures: Failure[]
}

/** What the faces see of a warmer. */
export interface WarmerFacade {
  readonly config: Config
  /** This process among others on the same Redis. */
  readonly instance: string
  readonly events: EventLog
  readonly schedules: Schedules
  readonly commands: Commands
  /** @throws {PrewarmError} `TASK_UNKNOWN`, `USAGE`, `PARAM_INVALID`, `KEYS_UNMATCHED`, `STOPPED` */
  submit(request?: JobRequest): JobHandle
  /** Which of `keys` have a task, by task; and which have none. */
  tasksOf(keys: readonly string[]): { matched: Map<string, string[]>; unmatched: string[] }
  /** Newest first, at most 200: running ones and those remembered. */
  jobs(): Promise<JobRecord[]>
  job(id: string): Promise<JobRecord | null>
  /** Null: there is no such job. False: it had ended. @throws {PrewarmError} `CONFLICT` if another instance runs it */
  cancel(id: string): Promise<boolean | null>
  status(): WarmerStatus
  /** @throws {PrewarmError} `REQUEST_INVALID` naming field, bounds and value; then nothing was changed */
  retune(changes: Changes): Promise<Config>
  /** Emergency stop by hand: resolves when no worker writes any more. */
  halt(reason?: string): Promise<HaltResult>
  /** Goes on, also after an emergency stop of the origin's. */
  resume(): void
  /** Keys of known keyspaces that match a Redis-style glob: from `select`, the access log, and SCAN. */
  matching(pattern: string, limit: number, signal: AbortSignal): Promise<Matched>
  /** Deletes keys of known keyspaces. */
  clear(
    what: { pattern: string } | { task: string },
    options: { dryRun: boolean; signal: AbortSignal },
  ): Promise<ClearResult>
  /** Hottest first. `windowMs`: what scores that are expected reads are told for. `predictor`: @default the configured one */
  predict(options: { limit: number; windowMs: number; predictor?: PredictorName | undefined }): Promise<HotKey[]>
  /** Counts reads that applications tell of, of the last 25 hours. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  recordReads(reads: readonly ToldReads[]): Promise<void>
  /** How well prediction does. @throws {PrewarmError} `STORE_UNREACHABLE` */
  prediction(): Promise<PredictionStatus>
  /**
   * What is proposed for each task's schedule, by what was read of its keys; `apply` registers it, `revert` takes it back.
   *
   * @throws {PrewarmError} `USAGE`, `CONFLICT`, `REQUEST_INVALID`, `STORE_*`
   */
  optimizeSchedules(options?: OptimizeOptions): Promise<Optimization>
  readiness(): Promise<Readiness>
  /** A first warm has finished, or its deadline has passed. */
  readonly isWarm: boolean
  /** Prometheus text. */
  metrics(): Promise<{ contentType: string; text: string }>
  /** Warms everything declared, once, after the startup delay; resolves when that has ended, with what came of it. */
  warmOnStartup(): Promise<StartupOutcome>
  /**
   * Takes another configuration over: workers are replaced one after the other, and what is queued goes on.
   * Returns the settings that only a restart can change.
   */
  reload(config: Config): Promise<string[]>
  start(): Promise<void>
  stop(): Promise<void>
}
