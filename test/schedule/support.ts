import type { Clock } from '../../src/clock.ts'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { load } from '../../src/config/define.ts'
import type { Config } from '../../src/config/load.ts'
import type { ScheduleSpec } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { EventLog } from '../../src/events/event-log.ts'
import type { WarmEvent } from '../../src/events/types.ts'
import type { JobHandle } from '../../src/job/job.ts'
import { Scheduler, type SchedulerOptions } from '../../src/schedule/scheduler.ts'
import type { FinalStatus, JobRequest, JobResult } from '../../src/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { LockTable, MemoryLocks } from '../fakes/locks.ts'
import { FakeScheduleStore } from '../fakes/schedule-store.ts'
import { configOf } from '../fakes/tasks.ts'

/** A clock whose wall can be set, while time goes on as before. */
export class WallClock extends FakeClock {
  offsetMs = 0

  override nowMs(): number {
    return super.nowMs() + this.offsetMs
  }

  /** `2026-03-29T01:00:00.000Z` */
  get now(): string {
    return new Date(this.nowMs()).toISOString()
  }
}

/** A job that ends when a test says so, or when its signal aborts. */
export class FakeJob implements JobHandle {
  readonly id: string
  readonly traceId: string
  readonly request: JobRequest
  readonly result: Promise<JobResult>
  readonly noted = Promise.resolve()
  readonly atMs: number
  status: JobHandle['status'] = 'running'
  end!: (status?: FinalStatus) => void

  constructor(id: string, request: JobRequest, atMs: number) {
    this.id = id
    this.traceId = request.traceId ?? ''
    this.request = request
    this.atMs = atMs
    this.result = new Promise((resolve) => {
      this.end = (status = 'success') => {
        this.status = status
        resolve({ jobId: id, traceId: this.traceId, status } as JobResult)
      }
    })
    request.signal?.addEventListener('abort', () => this.cancel())
  }

  progress(): [] {
    return []
  }

  cancel(): void {
    if (this.status === 'running') this.end('cancelled')
  }
}

/** Takes requests, and notes their jobs. `hold`: they do not end by themselves. */
export class FakeSubmit {
  readonly jobs: FakeJob[] = []
  hold = false
  status: FinalStatus = 'success'
  error: PrewarmError | null = null
  readonly #clock: Pick<Clock, 'nowMs'>

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  readonly submit = (request: JobRequest): FakeJob => {
    if (this.error !== null) throw this.error
    if (request.keys?.every((key) => key.startsWith('foreign:'))) {
      throw new PrewarmError('KEYS_UNMATCHED', 'No task has these keys')
    }
    const job = new FakeJob(`job-${this.jobs.length + 1}`, request, this.#clock.nowMs())
    this.jobs.push(job)
    if (!this.hold) job.end(this.status)
    return job
  }

  /** When each job began. */
  get times(): string[] {
    return this.jobs.map(({ atMs }) => new Date(atMs).toISOString())
  }
}

export const TASKS = {
  films: load({ key: 'film:{id}', tags: ['catalog'], critical: true, params: { days: 7 }, load: () => new Map() }),
  users: load({ key: 'user:{id}', tags: ['people'], load: () => new Map() }),
}

export function configWith(schedules: ConfigDefinition['schedules'] = {}, tasks = TASKS): Config {
  return configOf(tasks, { schedules })
}

/** What several instances share. */
export interface Shared {
  clock: WallClock
  store: FakeScheduleStore
  table: LockTable
}

export function sharedAt(start: string): Shared {
  return { clock: new WallClock(Date.parse(start)), store: new FakeScheduleStore(), table: new LockTable() }
}

/** One instance: a scheduler, and all that it is given. */
export function instanceOn(shared: Shared, config: Config, options: Partial<SchedulerOptions> = {}) {
  const { clock, store } = shared
  const locks = new MemoryLocks(shared.table)
  const warmer = new FakeSubmit(clock)
  const events = new EventLog({ clock })
  const hot: string[] = []
  const asked: { limit: number; windowMs: number }[] = []
  const instance = {
    config,
    clock,
    store,
    locks,
    warmer,
    hot,
    asked,
    /** Events of one kind, without it. */
    told(type: WarmEvent['type']) {
      return events.since(0).events.flatMap(({ event }) => (event.type === type ? [event] : []))
    },
    get skips() {
      return instance.told('schedule_skipped').map((event) => ('reason' in event ? event.reason : ''))
    },
    scheduler: undefined as unknown as Scheduler,
  }
  instance.scheduler = new Scheduler({
    config: () => instance.config,
    store,
    locks,
    submit: warmer.submit,
    predict: async (query) => {
      asked.push(query)
      return hot.map((key) => ({ key, score: 1, reason: 'read often' }))
    },
    events,
    clock,
    random: () => 0,
    ...options,
  })
  return instance
}

/** A custom schedule as it is registered. */
export function everyMinute(rest: Partial<ScheduleSpec> = {}): Partial<ScheduleSpec> {
  return { cron: '* * * * *', tasks: ['films'], ...rest }
}
