import { getLogger } from '@logtape/logtape'
import type { Config } from './config/load.ts'
import type { Task } from './config/task.ts'
import type { JobLog, JobRecord } from './coordination/types.ts'
import type { Dispatcher } from './dispatcher.ts'
import { type Failure, toFailure } from './errors.ts'
import type { EventLog } from './events/event-log.ts'
import { abortFailure, unlessAborted } from './job/abort.ts'
import { Deadline } from './job/deadline.ts'
import { endedEvent, startedEvent } from './job/describe.ts'
import { Job, type JobHandle } from './job/job.ts'
import { keptRequest } from './job/kept.ts'
import { Lane } from './job/lane.ts'
import type { MemoryGate } from './job/memory-gate.ts'
import { presentShare } from './job/present.ts'
import { selectWork, settleParams } from './job/select.ts'
import type { JobRanking, RankingSources } from './job/strategy/job-ranking.ts'
import { rankingOf } from './job/strategy/ranking-of.ts'
import type { JobTotals } from './job/totals.ts'
import { traceIdOf } from './job/trace.ts'
import { laneBatchSize, Planner, type PlannerParts, type Wanted } from './planner.ts'
import type { Store } from './store/types.ts'
import type { JobRequest, JobResult, Params } from './types.ts'

const log = getLogger(['prewarm'])

export interface RunnerParts extends Omit<PlannerParts, 'backoffBaseMs'>, RankingSources {
  config: () => Config
  store: Store
  dispatcher: Dispatcher
  events: EventLog
  jobLog: JobLog
  totals: JobTotals
  memory: MemoryGate
  instance: string
  /** Connects what a job needs. */
  start: () => Promise<void>
}

/** How long the next task waits for the plan of the one before it, ms. */
const PATIENCE_MS = 1000

interface Running {
  job: Job
  record: JobRecord
  request: JobRequest
  ranking: JobRanking
  stop(failure: Failure): void
  ended: Promise<JobResult>
  deadline: Deadline
}

/** Runs jobs: plans their tasks one after the other, hands them to the dispatcher, sums up what became of them. */
export class Runner {
  readonly #parts: RunnerParts
  readonly #planner: Planner
  readonly #running = new Map<string, Running>()
  #goOn: PromiseWithResolvers<void> | undefined
  #jobNumber = 0

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#planner = new Planner({
      ...parts,
      get backoffBaseMs() {
        return parts.config().settings.backoffBaseMs
      },
    })
  }

  /** Jobs that have not ended, newest first. */
  get records(): JobRecord[] {
    const all = [...this.#running.values()].reverse()
    return all.map(({ job, record }) => ({ ...record, status: job.status, result: job.result ?? null }))
  }

  get running(): number {
    return this.#running.size
  }

  /** @param id of a job that is taken up again */
  submit(request: JobRequest, id?: string): JobHandle {
    const { clock, instance, jobLog, events, random } = this.#parts
    const config = this.#parts.config()
    const { tasks, keys } = selectWork(config.tasks, request)
    const params = settleParams(tasks, request.params)
    const ranking = rankingOf(config, request, tasks, this.#parts)
    const traceId = traceIdOf(request.traceId)
    const suffix = Math.floor(random() * 36 ** 4)
      .toString(36)
      .padStart(4, '0')
    const job = new Job({
      id: id ?? `job-${clock.nowMs().toString(36)}-${(++this.#jobNumber).toString(36)}${suffix}`,
      traceId,
      clock,
    })
    const record: JobRecord = {
      id: job.id,
      traceId,
      source: request.source ?? 'program',
      strategy: ranking.name,
      schedule: request.schedule ?? null,
      tasks: tasks.map((task) => task.name),
      // As other instances see it until its end is noted; this one shows the job's own.
      status: 'running',
      submittedAt: new Date(job.startedMs).toISOString(),
      request: keptRequest(request),
      result: null,
      instance,
    }
    for (const task of tasks) job.lanes.push(this.#lane(task, params.get(task.name) as Params, request, config))
    const abort = new AbortController()
    const stop = (failure: Failure) => {
      if (job.stoppedBy !== null || job.result !== undefined) return
      job.stoppedBy = failure
      abort.abort()
      for (const lane of job.lanes) this.#parts.dispatcher.stop(lane, failure)
    }
    const timeoutMs = request.timeoutMs ?? config.settings.jobTimeoutMs
    const overdue = { code: 'JOB_TIMEOUT', message: `The job took longer than ${timeoutMs} ms` } as const
    const deadline = new Deadline(clock, timeoutMs, () => stop(overdue))
    if (this.#goOn !== undefined) deadline.hold()
    const { promise: ended, resolve } = Promise.withResolvers<JobResult>()
    const running: Running = { job, record, request, ranking, stop, ended, deadline }
    this.#running.set(job.id, running)
    const noted = jobLog.begin(record).catch(notNoted)
    events.emit(startedEvent(record))
    void this.#run(running, keys, abort.signal).then(async (result) => {
      await noted
      await this.#end(running, result)
      resolve(result)
    })
    return {
      id: job.id,
      traceId,
      noted,
      result: ended,
      get status() {
        return job.status
      },
      progress: () => job.lanes.map((lane) => lane.progress()),
      cancel: () => stop({ code: 'JOB_CANCELLED', message: 'The job was cancelled' }),
    }
  }

  /** False: no such job runs here. */
  cancel(id: string): boolean {
    const running = this.#running.get(id)
    if (running === undefined || running.job.result !== undefined) return false
    running.stop({ code: 'JOB_CANCELLED', message: 'The job was cancelled' })
    return true
  }

  /** Cancels every job; resolves when they have ended. */
  async stop(failure: Failure, thenEnd: () => Promise<void>): Promise<void> {
    const all = [...this.#running.values()]
    for (const { stop } of all) stop(failure)
    this.resume()
    await thenEnd()
    await Promise.all(all.map(({ ended }) => ended))
  }

  /** No plan is made and no deadline runs until `resume`. */
  hold(): void {
    this.#goOn ??= Promise.withResolvers()
    for (const { deadline } of this.#running.values()) deadline.hold()
  }

  resume(): void {
    this.#goOn?.resolve()
    this.#goOn = undefined
    for (const { deadline } of this.#running.values()) deadline.goOn()
  }

  /** The next batches go by the configuration as it is now. */
  retune(): void {
    const { tasks, settings } = this.#parts.config()
    for (const { job, request } of this.#running.values()) {
      for (const lane of job.lanes) {
        const task = tasks.get(lane.task.name)
        if (task === undefined) {
          const message = `The configuration that was loaded has no task '${lane.task.name}' any more`
          this.#parts.dispatcher.stop(lane, { code: 'TASK_UNKNOWN', message })
        } else {
          lane.task = task
          lane.batchSize = laneBatchSize(task, request.batchSize, settings.maxOriginRps)
        }
      }
    }
  }

  #lane(task: Task, params: Params, request: JobRequest, { settings }: Config): Lane {
    const { clock, random } = this.#parts
    return new Lane({
      task,
      priority: request.priority ?? task.priority,
      params,
      batchSize: laneBatchSize(task, request.batchSize, settings.maxOriginRps),
      batchDelayMs: request.batchDelayMs ?? 0,
      backoffBaseMs: settings.backoffBaseMs,
      ttlMs: request.ttlMs,
      fence: request.fence,
      clock,
      random,
    })
  }

  async #run(
    { job, request, ranking, stop, deadline, record }: Running,
    keys: ReadonlyMap<string, readonly string[]> | null,
    signal: AbortSignal,
  ): Promise<JobResult> {
    const { clock } = this.#parts
    const about = { jobId: job.id, traceId: job.traceId }
    log.info('job {jobId} begins: {tasks}', { ...about, tasks: record.tasks })
    const onAbort = () => stop(abortFailure(request.signal as AbortSignal))
    if (request.signal?.aborted) onAbort()
    request.signal?.addEventListener('abort', onAbort)
    const { promise: ended, resolve: lanesEnded } = Promise.withResolvers<void>()
    const onChange = () => {
      for (const { tally } of job.lanes) if (tally.firstError?.code === 'LOCK_LOST') stop(tally.firstError)
      if (job.lanes.every((lane) => lane.isEnded)) lanesEnded()
    }
    try {
      await unlessAborted(this.#parts.start(), signal)
      const steps = ranking.steps(job.lanes)
      for (const step of steps) {
        const opening: Promise<void>[] = []
        for (const lane of step) {
          if (this.#goOn !== undefined) await unlessAborted(this.#goOn.promise, signal)
          // In order of priority; one that hangs does not hold up the others of its step for long.
          const wanted = { count: request.count ?? null, keys: keys?.get(lane.task.name), ranking }
          const opened = this.#open(lane, job, wanted, signal, onChange)
          opening.push(opened)
          await Promise.race([opened, clock.sleep(PATIENCE_MS, signal)])
        }
        if (step !== steps.at(-1)) await unlessAborted(Promise.all(opening), signal)
      }
      onChange()
      await ended
    } catch (error) {
      for (const lane of job.lanes) lane.fail(toFailure(error))
    } finally {
      deadline.end()
      request.signal?.removeEventListener('abort', onAbort)
      for (const lane of job.lanes) this.#planner.release(lane)
    }
    const leftOut = await this.#parts.memory.end(job.id, job.lanes)
    const result = job.end(await presentShare(this.#parts.store, job.sample, clock), leftOut)
    log.info('job {jobId} ended: {status}, {written} of {planned} keys written', {
      ...about,
      status: result.status,
      ...result.keys,
    })
    return result
  }

  async #end({ job, record }: Running, result: JobResult): Promise<void> {
    const { events, jobLog, totals } = this.#parts
    totals.addJob(result, record.request.keys !== undefined)
    events.emit(endedEvent(record, result))
    // What a shutdown has cut short is left as it was noted: the next start takes it up again.
    const isCut = job.stoppedBy?.code === 'STOPPED' && result.status === 'cancelled'
    if (!isCut) await jobLog.end({ ...record, status: result.status, result }).catch(notNoted)
    this.#running.delete(job.id)
  }

  /** Plans one lane and hands it to the dispatcher; a lane that can't be planned has failed, the others go on. */
  async #open(lane: Lane, job: Job, wanted: Wanted, signal: AbortSignal, onChange: () => void): Promise<void> {
    if (job.stoppedBy !== null) return lane.stop(job.stoppedBy)
    if (lane.isEnded) return onChange()
    const { id: jobId, traceId } = job
    try {
      lane.open(await this.#planner.plan(lane, wanted, signal))
      if (lane.isEnded) onChange()
      else this.#parts.dispatcher.add({ lane, jobId, traceId, onChange })
    } catch (error) {
      const failure = toFailure(error)
      log.warn('task {task} has no plan: {message}', { task: lane.task.name, jobId, traceId, ...failure })
      if (job.stoppedBy !== null) lane.stop(job.stoppedBy)
      else lane.fail(failure)
      onChange()
    } finally {
      // It may have ended, with its job, before its plan was there.
      if (lane.isEnded) this.#planner.release(lane)
    }
  }
}

/** A job runs, and ends, also when that can't be noted. */
function notNoted(error: unknown): void {
  log.warn('a job could not be noted: {error}', { error })
}
