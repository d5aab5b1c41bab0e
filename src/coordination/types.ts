import type { JobSource } from '../events/types.ts'
import type { PredictorName } from '../predict/types.ts'
import type { JobRequest, JobResult, JobStatus } from '../types.ts'

/** A Lua script: its text, and how many of its arguments are keys. */
export interface Script {
  readonly text: string
}

/**
 * The few commands that prewarm's own records in Redis need, over a connection of their own, so that a lock is renewed
 * also while bulk writes fill the other one. Each call is bounded.
 */
export interface Commands {
  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  call(name: string, ...args: (string | number)[]): Promise<unknown>
  /** Runs a script atomically (EVALSHA, loaded when the server does not know it). @throws as `call` */
  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  /** Receives what is published on `channel`; the returned function ends that. @throws as `call` */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** A number that only grows; keys written under an older one than `key` holds fail with `LOCK_LOST`. */
export interface Fence {
  key: string
  token: number
}

/** A lock that is held. */
export interface HeldLock {
  readonly fence: Fence
  /** Aborts when the lock is lost: it could not be renewed in time, or somebody else holds it. */
  readonly lost: AbortSignal
  /** Compare-and-delete; safe to call twice, never throws. */
  release(): Promise<void>
}

export type LockAttempt = { held: true; lock: HeldLock } | { held: false; holder: string; leftMs: number }

/** Mutual exclusion over instances. */
export interface Locks {
  /**
   * Tries once. `holder` is what others are told of who has it (a trace id).
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`
   */
  acquire(name: string, holder: string): Promise<LockAttempt>
}

/** A job as the list of jobs knows it. */
export interface JobRecord {
  id: string
  traceId: string
  source: JobSource
  strategy: string
  schedule: string | null
  tasks: string[]
  status: JobStatus
  /** ISO 8601 */
  submittedAt: string
  request: JobRequest
  result: JobResult | null
  /** Which daemon runs or ran it. */
  instance: string
}

/** What is remembered of jobs: the last 200, also across restarts where it is kept in Redis. */
export interface JobLog {
  /** Notes a job that begins. Never throws: a job runs also when it can't be noted. */
  begin(record: JobRecord): Promise<void>
  /** Notes a job's end. Never throws. */
  end(record: JobRecord): Promise<void>
  /** Newest first. @throws {PrewarmError} `STORE_UNREACHABLE` */
  list(): Promise<JobRecord[]>
  get(id: string): Promise<JobRecord | null>
  /** Jobs that a dead instance, or this one before a crash, left unfinished; they are this one's now, to be ended. */
  adopt(): Promise<JobRecord[]>
}

/** When a schedule runs, what it warms. */
export interface ScheduleSpec {
  /** Five or six fields (croner's), or @daily and the like; absent where `intervalMs` is given. */
  cron?: string | undefined
  intervalMs?: number | undefined
  /** IANA name. @default 'UTC' */
  timeZone: string
  tasks?: readonly string[] | undefined
  tags?: readonly string[] | undefined
  critical?: boolean | undefined
  /** Warm the predicted keys, too (or only these, where no tasks, tags or critical are given). */
  predictive: boolean
  /** At most this many keys of each task, and of the prediction. */
  limit?: number | undefined
  priority?: number | undefined
  params?: Readonly<Record<string, unknown>> | undefined
  /** Instead of the tasks' own TTL, ms. */
  ttlMs?: number | undefined
  /** Name of the schedule that it runs instead of, which is paused meanwhile: `prewarm optimize --revert` goes by it. */
  replaces?: string | undefined
  /** Each run begins up to this much later, at random, ms. */
  jitterMs: number
  /** Run once, at start, for a run that was missed while nobody was there. */
  catchUp: boolean
}

export interface ScheduleRecord {
  name: string
  spec: ScheduleSpec
  /** 'config' schedules come from the file; 'custom' ones were registered while running, and live in Redis. */
  origin: 'config' | 'custom'
  paused: boolean
  /** ISO 8601 */
  lastRunAt: string | null
  lastStatus: string | null
  lastJobId: string | null
}

/** Where schedules survive a restart, and are the same for all instances. Small; read and written whole. */
export interface ScheduleStore {
  /** @throws {PrewarmError} `STORE_UNREACHABLE` */
  load(): Promise<ScheduleRecord[]>
  save(record: ScheduleRecord): Promise<void>
  remove(name: string): Promise<boolean>
  /** Notes a run without touching the rest; nothing for a schedule that is not there, or a run older than the last. */
  noteRun(name: string, run: { at: string; status: string; jobId: string | null }): Promise<void>
}

/** Leave for requests to the origin, shared by all instances. */
export interface SharedRate {
  /** Takes up to `wanted` requests' leave at once; 0 and a wait when there is none now. Never throws; null: nobody can tell. */
  lease(wanted: number): Promise<{ granted: number; retryInMs: number } | null>
}

/** How many requests somebody made lately. */
export interface RateCount {
  allowed: boolean
  limit: number
  remaining: number
  /** ms until one more is allowed (0 if one is), and until the window is whole again. */
  retryInMs: number
  resetInMs: number
}

/** Counts requests by subject, atomically, for all instances. */
export interface RateCounter {
  take(subject: string, limit: { max: number; windowMs: number }): Promise<RateCount>
}

/** A key that is likely to be wanted soon. */
export interface HotKey {
  key: string
  score: number
  reason: string
}

/** Says which keys will be hot, from the access log. */
export interface Predictor {
  /**
   * Hottest first; empty where nothing was recorded.
   *
   * @param options `windowMs`: what scores that are expected reads are told for. `predictor`: @default the configured one
   * @throws {PrewarmError} `STORE_UNREACHABLE`
   */
  predict(options: { limit: number; windowMs: number; predictor?: PredictorName | undefined }): Promise<HotKey[]>
}
