import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { HeldLock, HotKey, Locks, ScheduleRecord, ScheduleStore } from '../coordination/types.ts'
import { isPrewarmError } from '../errors.ts'
import type { EventLog } from '../events/event-log.ts'
import type { JobHandle } from '../job/job.ts'
import { jobStatus } from '../job/tally.ts'
import type { FinalStatus, JobRequest } from '../types.ts'
import { compareWithLast } from './due.ts'
import type { Entry } from './known.ts'
import { predictedLimit, requestOf } from './spec.ts'

const log = getLogger(['prewarm'])

/** What a prediction looks at, ms. */
const WINDOW_MS = 3_600_000

export interface RunParts {
  store: ScheduleStore
  locks: Locks
  /** @throws {PrewarmError} for a request that can't be met */
  submit: (request: JobRequest) => JobHandle
  predict: (options: { limit: number; windowMs: number }) => Promise<readonly HotKey[]>
  events: EventLog
  clock: Clock
  /** True: nothing begins any more. */
  isStopped: () => boolean
}

/** `due`: its time has come. `hand`: somebody asked for it, so that neither a pause nor an earlier run matters. */
export type Cause = { by: 'due'; dueMs: number } | { by: 'hand' }

export type Begun =
  /** `job` is null where nothing was predicted. `ended` never rejects; then the run is noted and the lock released. */
  | { is: 'running'; job: JobHandle | null; ended: Promise<void> }
  /** `holder` null: another instance has run this due time already. */
  | { is: 'locked'; holder: string | null }
  | { is: 'paused' | 'gone' | 'stopped' }

interface Run {
  entry: Entry
  lock: HeldLock
  traceId: string
  /** What is noted as the time of the run. */
  at: string
}

/** Runs of schedules, each under its lock; nothing is ever run without it. */
export class Runs {
  readonly #parts: RunParts

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  /**
   * Gets the lock, looks whether the run is still to be made, and begins it.
   *
   * @throws {PrewarmError} `STORE_*` where the lock or the record can't be had; what `submit` throws
   */
  async begin(entry: Entry, cause: Cause, traceId: string): Promise<Begun> {
    const { locks, clock, isStopped } = this.#parts
    const attempt = await locks.acquire(lockOf(entry.name), traceId)
    if (!attempt.held) return { is: 'locked', holder: attempt.holder }
    const { lock } = attempt
    let begun: Begun | undefined
    try {
      const refusal = await this.#refusal(entry, cause)
      if (refusal !== null) return refusal
      const atMs = cause.by === 'due' ? cause.dueMs : clock.nowMs()
      const run: Run = { entry, lock, traceId, at: new Date(atMs).toISOString() }
      const job = await this.#first(run)
      if (job === null && isStopped()) return { is: 'stopped' }
      begun = { is: 'running', job, ended: this.#finish(run, job) }
      return begun
    } finally {
      if (begun === undefined) await lock.release()
    }
  }

  /** Asked under the lock: whoever had it before has noted its run. */
  async #refusal(entry: Entry, cause: Cause): Promise<Begun | null> {
    const { store, clock, isStopped } = this.#parts
    await entry.unnoted?.()
    entry.unnoted = null
    const stored = (await store.load()).find(({ name }) => name === entry.name)
    if (isStopped()) return { is: 'stopped' }
    if (stored === undefined) {
      if (entry.record.origin === 'custom') return { is: 'gone' }
      await store.save(storable(entry.record))
    }
    if (cause.by === 'hand' || entry.table === null) return null
    if (stored?.paused) return { is: 'paused' }
    const lastRunAt = stored?.lastRunAt ?? null
    const compared = compareWithLast(lastRunAt, { ...cause, nowMs: clock.nowMs(), table: entry.table })
    if (compared === 'done') return { is: 'locked', holder: null }
    if (compared === 'implausible' && stored !== undefined) {
      log.warn('schedule {schedule} was last run at {lastRunAt}, says the store, which is yet to come: forgotten', {
        schedule: entry.name,
        lastRunAt,
      })
      await store.remove(entry.name)
      entry.record = { ...stored, spec: entry.record.spec, lastRunAt: null, lastStatus: null, lastJobId: null }
      await store.save(storable(entry.record))
    }
    return null
  }

  async #first(run: Run): Promise<JobHandle | null> {
    const { spec } = run.entry.record
    const request = requestOf(spec)
    try {
      return request === null ? await this.#predicted(run) : this.#submit(run, request)
    } catch (error) {
      const passes = isPrewarmError(error) && (error.code.startsWith('STORE_') || error.code === 'STOPPED')
      if (!passes) await this.#note(run, 'failed', null)
      throw error
    }
  }

  /** Null: nothing is predicted, or nothing that a task could warm. */
  async #predicted(run: Run): Promise<JobHandle | null> {
    const { predict, isStopped } = this.#parts
    const { spec, name } = run.entry.record
    const hot = await predict({ limit: predictedLimit(spec), windowMs: WINDOW_MS })
    if (isStopped() || run.lock.lost.aborted) return null
    if (hot.length > 0) {
      const priority = spec.priority === undefined ? {} : { priority: spec.priority }
      const ttl = spec.ttlMs === undefined ? {} : { ttlMs: spec.ttlMs }
      try {
        return this.#submit(run, { keys: hot.map(({ key }) => key), ...priority, ...ttl })
      } catch (error) {
        if (!isPrewarmError(error) || error.code !== 'KEYS_UNMATCHED') throw error
      }
    }
    log.info('schedule {schedule} has no predicted keys to warm', { schedule: name, traceId: run.traceId })
    return null
  }

  #submit({ entry, lock, traceId }: Run, request: JobRequest): JobHandle {
    const { submit, events } = this.#parts
    const { name: schedule } = entry
    const job = submit({ ...request, traceId, source: 'schedule', schedule, fence: lock.fence, signal: lock.lost })
    events.emit({ type: 'schedule_fired', schedule, job_id: job.id, trace_id: traceId })
    return job
  }

  async #finish(run: Run, job: JobHandle | null): Promise<void> {
    const { isStopped } = this.#parts
    const { entry, lock, traceId } = run
    const { spec } = entry.record
    const statuses: FinalStatus[] = []
    let jobId = job?.id ?? null
    try {
      if (job !== null) statuses.push((await job.result).status)
      const goesOn = requestOf(spec) !== null && predictedLimit(spec) > 0 && statuses[0] !== 'cancelled'
      if (goesOn && !isStopped() && !lock.lost.aborted) {
        const second = await this.#predicted(run)
        if (second !== null) statuses.push((await second.result).status)
        jobId ??= second?.id ?? null
      }
    } catch (error) {
      statuses.push('failed')
      log.error('schedule {schedule} could not warm what is predicted: {error}', {
        schedule: entry.name,
        traceId,
        error,
      })
    }
    const status = statuses.length === 0 ? 'success' : jobStatus(statuses)
    if (lock.lost.aborted) {
      // Somebody else may have the run now; theirs counts.
      log.warn('schedule {schedule} lost its lock: its job was cancelled', { schedule: entry.name, traceId })
    } else if (!(isStopped() && status === 'cancelled')) {
      await this.#note(run, status, jobId)
    }
    await lock.release()
    entry.running = false
  }

  async #note({ entry, at, traceId }: Run, status: string, jobId: string | null): Promise<void> {
    const { store } = this.#parts
    const { name } = entry
    entry.record = { ...entry.record, lastRunAt: at, lastStatus: status, lastJobId: jobId }
    const note = () => store.noteRun(name, { at, status, jobId })
    entry.unnoted = null
    try {
      await note()
    } catch (error) {
      entry.unnoted = note
      log.warn('the run of schedule {schedule} could not be noted yet: {error}', { schedule: name, traceId, error })
    }
  }
}

/** Locks that are held for other reasons: for warming at the start, for the hit rate, for folding a window. */
const TAKEN = ['warmup', 'rewarm', 'predict']

/** Its name, unless another lock is called that. */
function lockOf(schedule: string): string {
  return TAKEN.includes(schedule) ? `schedule:${schedule}` : schedule
}

/** A declared schedule's parameters may be what JSON does not know; they are the configuration's anyway. */
export function storable(record: ScheduleRecord): ScheduleRecord {
  if (record.origin === 'custom') return record
  const { params: _, ...spec } = record.spec
  return { ...record, spec }
}
