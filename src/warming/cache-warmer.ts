import { type Duration, parseDuration } from '../config/duration.ts'
import { BOUNDS } from '../config/fields.ts'
import { type Failure, PrewarmError } from '../errors.ts'
import type { WarmerFacade } from '../facade.ts'
import type { JobHandle } from '../job/job.ts'
import type { StartupOutcome } from '../schedule/startup.ts'
import type { FinalStatus, JobRequest, JobResult, Params } from '../types.ts'

/** What is to be warmed; without tasks, tags or keys everything that is declared. */
export interface WarmCacheOptions {
  /** Tasks by name; with `tags` the intersection. */
  tasks?: readonly string[]
  /** Only tasks that bear at least one of these. */
  tags?: readonly string[]
  /** Only these keys, each by the task whose template it matches; those that match none are left out. */
  keys?: readonly string[]
  /** Values for the tasks' parameters. */
  params?: Params
  /** At most this many keys of each task, hottest first. 1 to 1_000_000. @default all */
  limit?: number
  /** Bound on the whole. 1 ms to 1 d. @default jobTimeoutMs ('5m') */
  timeout?: Duration
  /** Cancels it. */
  signal?: AbortSignal
}

/** How one warming went, or goes. */
export interface WarmingMetrics {
  /** ISO 8601 */
  startTime: string
  /** ISO 8601; null while it runs. */
  endTime: string | null
  /** So far, while it runs. */
  durationMs: number
  /** Keys that are in the store because of it, or were there already and stayed. */
  keys: number
  /** Keys that failed or were never confirmed, and tasks that could not be read. */
  errors: number
  /** The first of these errors. */
  firstError: Failure | null
  /** `skipped`: others warm the same now. */
  status: 'running' | FinalStatus
  /** Null before there is a job, and where there never was one. */
  jobId: string | null
}

/** What of a warmer it needs. */
export interface WarmsAndStarts extends Pick<WarmerFacade, 'submit'> {
  readonly clock: { nowMs(): number; nowNs(): number }
  /** Warms everything once, after the startup delay, unless another instance does. Never rejects. */
  warmOnStartup(): Promise<StartupOutcome>
}

/** Warms, one job a call, and remembers how that went. */
export interface CacheWarmer {
  /**
   * One job to its end. Never rejects because that fails: `status`, `errors` and `firstError` tell.
   *
   * @throws {PrewarmError} `TASK_UNKNOWN`, `USAGE`, `PARAM_INVALID`, `KEYS_UNMATCHED` for a request that can't be met,
   * `STOPPED` after the warmer's `stop`
   */
  warmCache(options?: WarmCacheOptions): Promise<WarmingMetrics>
  /**
   * Everything declared, after the startup delay; `skipped` if another instance warms already. Never rejects. Warms once:
   * each further call gets what the first one gets.
   */
  warmOnStartup(): Promise<WarmingMetrics>
  /** Of the call that began last, as of now; null before the first. A snapshot: ask again for a newer one. */
  readonly lastMetrics: WarmingMetrics | null
}

/** A {@linkcode CacheWarmer} over a warmer, which stays its owner's to stop. */
export function createCacheWarmer({ warmer }: { warmer: WarmsAndStarts }): CacheWarmer {
  let last: (() => WarmingMetrics) | undefined
  let startup: Promise<WarmingMetrics> | undefined

  /** What a call tells of itself: first that it runs, then how it ended. */
  const begin = (handle: JobHandle | null) => {
    const { clock } = warmer
    const startTime = new Date(clock.nowMs()).toISOString()
    const startNs = clock.nowNs()
    const durationMs = () => (clock.nowNs() - startNs) / 1e6
    const call = (): WarmingMetrics => ({
      startTime,
      endTime: null,
      durationMs: durationMs(),
      ...soFar(handle),
      firstError: null,
      status: 'running',
    })
    const mine = { tell: call }
    last = () => mine.tell()
    return (end: Ended): WarmingMetrics => {
      const endTime = new Date(clock.nowMs()).toISOString()
      const metrics = { startTime, endTime, durationMs: durationMs(), ...end }
      // Each reader gets one of its own: what one does to it, no other sees.
      mine.tell = () => ({ ...metrics })
      return mine.tell()
    }
  }

  return {
    async warmCache(options = {}) {
      const handle = warmer.submit(requestOf(options))
      const end = begin(handle)
      return end(endOf(await handle.result))
    },
    warmOnStartup() {
      startup ??= (async () => {
        const end = begin(null)
        return end(startupEnd(await warmer.warmOnStartup()))
      })()
      return startup.then((metrics) => ({ ...metrics }))
    },
    get lastMetrics() {
      return last?.() ?? null
    },
  }
}

type Ended = Pick<WarmingMetrics, 'keys' | 'errors' | 'firstError' | 'jobId'> & { status: FinalStatus }

function requestOf({ tasks, tags, keys, params, limit, timeout, signal }: WarmCacheOptions): JobRequest {
  const [min, max] = BOUNDS.count
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= min && limit <= max))
    throw new PrewarmError('USAGE', `limit is ${limit}, expected a whole number from ${min} to ${max}`)
  return {
    ...(tasks === undefined ? {} : { tasks }),
    ...(tags === undefined ? {} : { tags }),
    ...(keys === undefined ? {} : { keys }),
    ...(params === undefined ? {} : { params }),
    ...(limit === undefined ? {} : { count: limit }),
    ...(timeout === undefined ? {} : { timeoutMs: timeoutMsOf(timeout) }),
    ...(signal === undefined ? {} : { signal }),
  }
}

function timeoutMsOf(timeout: Duration): number {
  const ms = parseDuration(timeout)
  const [min, max] = BOUNDS.timeoutMs
  if (ms !== null && ms >= min && ms <= max) return ms
  const expected = `expected ms as a number, or text such as '5m', from ${min} to ${max} ms`
  throw new PrewarmError('USAGE', `timeout is '${timeout}', ${expected}`)
}

function soFar(handle: JobHandle | null): Pick<WarmingMetrics, 'keys' | 'errors' | 'jobId'> {
  let [keys, errors] = [0, 0]
  for (const { done, failed } of handle?.progress() ?? []) {
    keys += done - failed
    errors += failed
  }
  return { keys, errors, jobId: handle?.id ?? null }
}

function endOf({ jobId, status, keys, tasks }: JobResult): Ended {
  let errors = 0
  let firstError: Failure | null = null
  for (const task of tasks) {
    const bad = task.keys.failed + task.keys.unknown
    errors += bad === 0 && task.firstError !== null ? 1 : bad
    firstError ??= task.firstError
  }
  return { jobId, status, keys: keys.planned - keys.failed - keys.unknown, errors, firstError }
}

function startupEnd(outcome: StartupOutcome): Ended {
  const none = { jobId: null, keys: 0, errors: 0, firstError: null }
  switch (outcome.did) {
    case 'warmed':
      return endOf(outcome.result)
    case 'failed':
      return { ...none, status: 'failed', errors: 1, firstError: outcome.failure }
    case 'skipped':
      return { ...none, status: 'skipped' }
    case 'stopped':
      return { ...none, status: 'cancelled' }
  }
}
