import { getLogger } from '@logtape/logtape'
import type { Clock } from './clock.ts'
import type { Config } from './config/load.ts'
import type { Task } from './config/task.ts'
import { Dispatcher } from './dispatcher.ts'
import { type Failure, PrewarmError, toFailure } from './errors.ts'
import { Job, type JobHandle } from './job/job.ts'
import { Lane } from './job/lane.ts'
import { planTask, type TaskPlan } from './job/plan.ts'
import { selectTasks, settleParams } from './job/select.ts'
import { traceIdOf } from './job/trace.ts'
import type { OriginGuard } from './origin/guard.ts'
import type { SqlClient } from './origin/sql-client.ts'
import type { Origin } from './origin/types.ts'
import { laneBatchSize, Planner } from './planner.ts'
import type { Pool } from './pool/pool.ts'
import type { Store } from './store/types.ts'
import type { JobRequest, JobResult, Params } from './types.ts'

const log = getLogger(['prewarm'])

/** The concrete parts that `compose.ts` builds. */
export interface WarmerParts {
  config: Config
  clock: Clock
  random: () => number
  store: Store
  /** @throws {PrewarmError} `CONFIG_INVALID` if no database is configured */
  client: () => SqlClient
  originOf: (task: Task) => Origin
  guard: OriginGuard
  pool: Pool
  /** Run at the end of `stop`, each even if another throws. */
  cleanUps: (() => Promise<void>)[]
}

/** Bound on the writing of one batch, ms. */
const STORE_TIMEOUT_MS = 5000
/** How long the next task waits for the plan of the one before it, and a job's end for the store to answer, ms. */
const PATIENCE_MS = 1000
/** What stop() and a cancelled job leave workers to finish what they are writing, ms. */
const STOP_TIMEOUT_MS = 1500

/** The facade: submits jobs, shows plans, starts and stops everything below it. */
export class Warmer {
  readonly config: Config
  readonly #parts: WarmerParts
  readonly #dispatcher: Dispatcher
  readonly #planner: Planner
  readonly #jobs = new Map<Job, { stop(failure: Failure): void; ended: Promise<JobResult> }>()
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #jobNumber = 0

  constructor(parts: WarmerParts) {
    this.config = parts.config
    this.#parts = parts
    this.#planner = new Planner({ ...parts, backoffBaseMs: parts.config.settings.backoffBaseMs })
    const { maxOriginRps, backoffBaseMs, concurrentWarmers } = parts.config.settings
    this.#dispatcher = new Dispatcher({
      ...parts,
      maxOriginRps,
      backoffBaseMs,
      maxOpenStreams: concurrentWarmers,
      maxStoreAway: 2 * concurrentWarmers,
      storeTimeoutMs: STORE_TIMEOUT_MS,
    })
  }

  get clock(): Clock {
    return this.#parts.clock
  }

  /** Where values go: for looking, not for writing. */
  get store(): Store {
    return this.#parts.store
  }

  /** @throws {PrewarmError} `CONFIG_INVALID` if no database is configured */
  get client(): SqlClient {
    return this.#parts.client()
  }

  /** A task's origin, for looking at what a job would read. The caller closes it. */
  originOf(task: Task): Origin {
    return this.#parts.originOf(task)
  }

  /**
   * Connects the store and starts the workers. Safe to call twice; `submit` calls it.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE` within 5 s, or what kept the first worker from starting
   */
  start(): Promise<void> {
    if (this.#stopped !== undefined && this.#started === undefined) {
      return Promise.reject(new PrewarmError('STOPPED', 'The warmer was stopped: create another'))
    }
    this.#started ??= (async () => {
      await this.#parts.store.connect(5000)
      await this.#parts.pool.start()
    })().catch((error) => {
      // What was away may be back when it is asked for again.
      this.#started = undefined
      throw error
    })
    return this.#started
  }

  /**
   * Begins a job.
   *
   * @throws {PrewarmError} `TASK_UNKNOWN`, `USAGE`, `PARAM_INVALID` for a request that can't be met, `STOPPED` after `stop`
   */
  submit(request: JobRequest = {}): JobHandle {
    if (this.#stopped !== undefined) throw new PrewarmError('STOPPED', 'The warmer was stopped: create another')
    const tasks = selectTasks(this.config.tasks, request)
    const params = settleParams(tasks, request.params)
    const traceId = traceIdOf(request.traceId)
    const job = new Job({
      id: `job-${this.#parts.clock.nowMs().toString(36)}-${++this.#jobNumber}`,
      traceId,
      clock: this.#parts.clock,
    })
    const abort = new AbortController()
    let ended!: (result: JobResult) => void
    const result = new Promise<JobResult>((resolve) => {
      ended = resolve
    })
    const stop = (failure: Failure) => {
      if (job.stoppedBy !== null || job.result !== undefined) return
      job.stoppedBy = failure
      abort.abort()
      for (const lane of job.lanes) this.#dispatcher.stop(lane, failure)
    }
    this.#jobs.set(job, { stop, ended: result })
    void this.#run(job, tasks, params, request, abort.signal, stop).then((outcome) => {
      this.#jobs.delete(job)
      ended(outcome)
    })
    return {
      id: job.id,
      traceId,
      result,
      get status() {
        return job.status
      },
      progress: () => job.lanes.map((lane) => lane.progress()),
      cancel: () => stop({ code: 'JOB_CANCELLED', message: 'The job was cancelled' }),
    }
  }

  /** What a task would warm now. Reads the origin, writes nothing. */
  async planOf(
    task: Task,
    params: Params,
    options: { count?: number; batchSize?: number; signal?: AbortSignal } = {},
  ): Promise<TaskPlan> {
    return planTask(task, this.#parts.client, {
      params,
      count: options.count ?? null,
      batchSize: options.batchSize ?? task.batchSize,
      signal: options.signal ?? new AbortController().signal,
    })
  }

  status() {
    return {
      jobs: [...this.#jobs.keys()].map((job) => ({ id: job.id, traceId: job.traceId, status: job.status })),
      queuedTasks: this.#dispatcher.queued,
      workers: this.#parts.pool.status(),
    }
  }

  /** Cancels every job, ends the workers, closes connections and embedded servers. Bounded; safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      const running = [...this.#jobs.values()]
      for (const { stop } of running) stop({ code: 'STOPPED', message: 'The warmer was stopped' })
      await this.#parts.pool.stop(STOP_TIMEOUT_MS)
      await Promise.all(running.map(({ ended }) => ended))
      const cleanUps = [() => this.#parts.store.close(), ...this.#parts.cleanUps]
      for (const cleanUp of cleanUps) await cleanUp().catch((error) => log.warn('clean-up failed: {error}', { error }))
    })()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #run(
    job: Job,
    tasks: Task[],
    params: Map<string, Params>,
    request: JobRequest,
    signal: AbortSignal,
    stop: (failure: Failure) => void,
  ): Promise<JobResult> {
    const { clock, random } = this.#parts
    const { settings } = this.config
    const timeoutMs = request.timeoutMs ?? settings.jobTimeoutMs
    const overdue = { code: 'JOB_TIMEOUT', message: `The job took longer than ${timeoutMs} ms` } as const
    const takeBackTimeout = clock.after(timeoutMs, () => stop(overdue))
    log.info('job {jobId} begins: {tasks}', {
      jobId: job.id,
      traceId: job.traceId,
      tasks: tasks.map((task) => task.name),
    })
    let lanesEnded!: () => void
    const ended = new Promise<void>((resolve) => {
      lanesEnded = resolve
    })
    const onChange = () => {
      if (job.lanes.every((lane) => lane.isEnded)) lanesEnded()
    }
    for (const task of tasks) {
      job.lanes.push(
        new Lane({
          task,
          priority: request.priority ?? task.priority,
          params: params.get(task.name) as Params,
          batchSize: laneBatchSize(task, request.batchSize, settings.maxOriginRps),
          batchDelayMs: request.batchDelayMs ?? 0,
          backoffBaseMs: settings.backoffBaseMs,
          clock,
          random,
        }),
      )
    }
    try {
      await untilAborted(this.start(), signal)
      for (const lane of job.lanes) {
        // In order of priority; one that hangs does not hold up the others for long.
        const opened = this.#open(lane, job, request.count ?? null, signal, onChange)
        await Promise.race([opened, clock.sleep(PATIENCE_MS, signal)])
      }
      onChange()
      await ended
    } catch (error) {
      for (const lane of job.lanes) lane.fail(toFailure(error))
    } finally {
      takeBackTimeout()
      for (const lane of job.lanes) this.#planner.release(lane)
    }
    const result = job.end(await this.#presentShare(job))
    log.info('job {jobId} ended: {status}, {written} of {planned} keys written', {
      jobId: job.id,
      traceId: job.traceId,
      status: result.status,
      ...result.keys,
    })
    return result
  }

  /** A store that does not answer holds no job up: 1, as nothing can be told. */
  async #presentShare(job: Job): Promise<number> {
    const { clock, store } = this.#parts
    const timeout = new AbortController()
    const waited = clock.sleep(PATIENCE_MS, timeout.signal).then(() => 1)
    const share = await Promise.race([presentShare(store, job.sample), waited])
    timeout.abort()
    return share
  }

  /** Plans one lane and hands it to the dispatcher; a lane that can't be planned has failed, the others go on. */
  async #open(lane: Lane, job: Job, count: number | null, signal: AbortSignal, onChange: () => void): Promise<void> {
    if (job.stoppedBy !== null) return lane.stop(job.stoppedBy)
    try {
      lane.open(await this.#planner.plan(lane, count, signal))
      if (lane.isEnded) onChange()
      else this.#dispatcher.add({ lane, traceId: job.traceId, onChange })
    } catch (error) {
      const failure = toFailure(error)
      log.warn('task {task} has no plan: {message}', { task: lane.task.name, traceId: job.traceId, ...failure })
      if (job.stoppedBy !== null) lane.stop(job.stoppedBy)
      else lane.fail(failure)
      onChange()
    }
  }
}

/** Of a sample of keys that were in the store, the share that still is. 1 where nothing can be told. */
async function presentShare(store: Store, sample: readonly string[]): Promise<number> {
  if (sample.length === 0) return 1
  try {
    const ttls = await store.ttlsMs(sample)
    return ttls.filter((ttlMs) => ttlMs !== -2).length / sample.length
  } catch {
    return 1
  }
}

/** Ends when `work` does, or quietly when `signal` aborts: whoever aborted has settled the lanes already. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    work.then(resolve, reject)
  })
}
