import type { Clock } from '../clock.ts'
import type { Failure } from '../errors.ts'
import { Latency } from '../metrics/latency.ts'
import type { JobResult, JobStatus, MemoryReport, TaskProgress, TaskResult } from '../types.ts'
import type { Lane } from './lane.ts'
import { addKeys, jobStatus, noKeys, presentKeys } from './tally.ts'

/** One request to warm, on its way or ended. */
export interface JobHandle {
  readonly id: string
  readonly traceId: string
  /** Resolves when the job is in the list of jobs, which a crash does not lose where it is kept in Redis. Never rejects. */
  readonly noted: Promise<void>
  /** Never rejects: what went wrong stands in the result. */
  readonly result: Promise<JobResult>
  readonly status: JobStatus
  progress(): TaskProgress[]
  /** Stops it: nothing begins any more, and once `result` is there nothing of it writes. */
  cancel(): void
}

export interface JobOptions {
  id: string
  traceId: string
  clock: Clock
}

/** A job's own record: its lanes, when it began, how it ended. */
export class Job {
  readonly id: string
  readonly traceId: string
  readonly lanes: Lane[] = []
  readonly startedMs: number
  readonly #clock: Clock
  readonly #startNs: number
  result: JobResult | undefined
  stoppedBy: Failure | null = null

  constructor({ id, traceId, clock }: JobOptions) {
    this.id = id
    this.traceId = traceId
    this.#clock = clock
    this.startedMs = clock.nowMs()
    this.#startNs = clock.nowNs()
  }

  get status(): JobStatus {
    if (this.result !== undefined) return this.result.status
    return this.lanes.some((lane) => lane.tally.keys.planned > 0) ? 'running' : 'queued'
  }

  /** Some keys that were in the store when their batch ended. */
  get sample(): string[] {
    return this.lanes.flatMap((lane) => lane.tally.sample)
  }

  /** Sums the lanes up. `presentShare`: of the sample, how many keys are still there. `memory`: what was left out. */
  end(presentShare: number, memory: MemoryReport | null = null): JobResult {
    const keys = noKeys()
    const latency = new Latency()
    for (const { tally } of this.lanes) {
      addKeys(keys, tally.keys)
      latency.merge(tally.latency)
    }
    const tasks = this.lanes.map((lane) => this.#task(lane))
    const status = jobStatus(tasks.map((task) => task.status))
    const whole = status === 'success' || status === 'skipped' ? 1 : 0
    this.result = {
      jobId: this.id,
      traceId: this.traceId,
      status,
      startedAt: new Date(this.startedMs).toISOString(),
      endedAt: new Date(this.#clock.nowMs()).toISOString(),
      durationNs: this.#clock.nowNs() - this.#startNs,
      keys,
      coverage: keys.planned === 0 ? whole : (presentKeys(keys) / keys.planned) * presentShare,
      latencyNs: latency.summary(),
      tasks,
      ...(memory === null ? {} : { memory }),
    }
    return this.result
  }

  #task(lane: Lane): TaskResult {
    const { task, priority, tally, deduplicated, leftOut, isCut, notChosen, startNs, stoppedBy } = lane
    return {
      task: task.name,
      priority,
      status: tally.status(deduplicated, stoppedBy, leftOut > 0 || isCut),
      keys: { ...tally.keys },
      deduplicated,
      ...(leftOut === 0 && !isCut ? {} : { leftOut }),
      ...(notChosen === 0 ? {} : { notChosen }),
      durationNs: (lane.endNs ?? this.#clock.nowNs()) - startNs,
      originRequests: tally.originRequests,
      firstError: tally.firstError,
    }
  }
}
