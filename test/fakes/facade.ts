import type { ConfigDefinition } from '../../src/config/define.ts'
import { http, load } from '../../src/config/define.ts'
import type { Config } from '../../src/config/load.ts'
import type { Commands, HotKey, JobRecord, ScheduleRecord, ScheduleSpec } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { EventLog } from '../../src/events/event-log.ts'
import type {
  Changes,
  ClearResult,
  HaltResult,
  Matched,
  Readiness,
  Schedules,
  ScheduleView,
  WarmerFacade,
  WarmerStatus,
} from '../../src/facade.ts'
import type { JobHandle } from '../../src/job/job.ts'
import { selectTasks, settleParams } from '../../src/job/select.ts'
import type { ToldReads } from '../../src/learn/told.ts'
import type { Optimization, OptimizeOptions } from '../../src/optimize/types.ts'
import type { PredictionStatus, PredictorName } from '../../src/predict/types.ts'
import type { JobRequest, JobResult, JobStatus } from '../../src/types.ts'
import { FakeClock } from './clock.ts'
import { configOf } from './tasks.ts'

const SPEC: ScheduleSpec = { timeZone: 'UTC', predictive: false, jitterMs: 0, catchUp: false }

/** A job that ends when the test says so. */
export class FakeJob implements JobHandle {
  readonly id: string
  readonly traceId: string
  readonly request: JobRequest
  noted = Promise.resolve()
  readonly result: Promise<JobResult>
  readonly #tasks: string[]
  status: JobStatus = 'running'
  #settle: (result: JobResult) => void = () => {}

  constructor(id: string, request: JobRequest, tasks: string[]) {
    this.id = id
    this.traceId = request.traceId ?? 'f'.repeat(32)
    this.request = request
    this.#tasks = tasks
    this.result = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  progress() {
    const rest = { done: 0, total: null, estimated: false, failed: 0, keysPerSecond: 0, finished: false }
    return this.#tasks.map((task) => ({ task, ...rest }))
  }

  cancel(): void {
    this.end('cancelled')
  }

  end(status: JobResult['status'] = 'success'): void {
    this.status = status
    this.#settle(resultOf(this.id, this.traceId, this.#tasks, status))
  }
}

export function resultOf(jobId: string, traceId: string, tasks: string[], status: JobResult['status']): JobResult {
  const keys = { planned: 3, written: 2, skippedPresent: 0, skippedNewer: 0, failed: 1, unknown: 0 }
  return {
    jobId,
    traceId,
    status,
    startedAt: '2026-03-01T02:00:00.000Z',
    endedAt: '2026-03-01T02:00:01.500Z',
    durationNs: 1_500_000_000,
    keys,
    coverage: 2 / 3,
    latencyNs: { p50: 1e6, p95: 2e6, p99: 3e6, max: 4_000_500 },
    tasks: tasks.map((task) => ({
      task,
      priority: 100,
      status,
      keys,
      deduplicated: 1,
      durationNs: 1_400_000_000,
      originRequests: 4,
      firstError: { code: 'ORIGIN_NO_VALUE', message: 'no value', key: 'film:3' },
    })),
  }
}

/** A {@linkcode WarmerFacade} without anything behind it: it notes what it is asked, and answers what a test sets. */
export class FakeFacade implements WarmerFacade {
  readonly clock = new FakeClock()
  readonly instance = 'test-1'
  readonly events = new EventLog({ clock: this.clock })
  readonly submitted: FakeJob[] = []
  /** Name and arguments of every other call that changes something. */
  readonly calls: [name: string, ...args: unknown[]][] = []
  readonly records: JobRecord[] = []
  readonly views = new Map<string, ScheduleView>()
  config: Config
  matched: Matched = { keys: [], truncated: false }
  hot: HotKey[] = []
  predicted: PredictionStatus = { predictor: 'learned', windowMs: 900_000, foldedToMs: null, windows: 0, scores: [] }
  ready: Readiness = { ready: true, failures: [] }
  optimization: Optimization = { tasksOptimized: 0, changes: [], expected: [], unchanged: [], applied: null }
  halted: HaltResult = { settled: true, halted: 2 }
  isWarm = true
  /** When a job is in the list of jobs. */
  noted = Promise.resolve()
  /** Thrown by what asks Redis or the origin. */
  failure: Error | undefined
  state: WarmerStatus = {
    running: true,
    activeJobs: 1,
    queuedTasks: 4,
    queueDepth: new Map([[100, 4]]),
    workers: [
      { id: 'w1', state: 'busy', currentKey: 'film:1', startedAt: '2026-03-01T02:00:00.000Z' },
      { id: 'w2', state: 'idle', currentKey: null, startedAt: null },
    ],
    emergency: { state: 'none' },
    totals: {
      jobs: 5,
      succeeded: 3,
      failed: 1,
      originRequests: 40,
      cacheWrites: 900,
      rateLimitHits: 2,
      emergencyStops: 0,
      averageDurationMs: 120.5,
    },
  }

  constructor(rest: Partial<ConfigDefinition> = {}) {
    const values = (keys: readonly string[]) => new Map(keys.map((key) => [key, { key }]))
    const tasks = {
      films: load({ key: 'film:{id}', load: values, params: { limit: 5 }, tags: ['catalog'], critical: true }),
      rates: http({ key: 'rate:{id}', url: 'https://origin.example/{id}' }),
    }
    this.config = configOf(tasks, rest)
  }

  /** Redis is away: limits are counted in memory. */
  readonly commands: Commands = {
    call: async () => this.#away(),
    script: async () => this.#away(),
    subscribe: async () => this.#away(),
    close: async () => {},
  }

  readonly schedules: Schedules = {
    list: async () => [...this.views.values()],
    add: async (name, spec) => {
      this.calls.push(['add', name, spec])
      if (this.views.has(name)) throw new PrewarmError('CONFLICT', `There is a schedule '${name}' already`)
      if (spec.cron === 'never')
        throw new PrewarmError('REQUEST_INVALID', "cron is 'never', expected five or six fields")
      const view = viewOf({ name, spec: { ...SPEC, ...spec } })
      this.views.set(name, view)
      return view
    },
    remove: async (name) => {
      const view = this.#view(name)
      if (view.origin === 'config') throw new PrewarmError('CONFLICT', `'${name}' is declared in the file: pause it`)
      this.views.delete(name)
    },
    pause: async (name) => this.#change(name, true),
    resume: async (name) => this.#change(name, false),
    runNow: async (name, traceId) => {
      const view = this.#view(name)
      if (view.running) throw new PrewarmError('CONFLICT', `'${name}' runs already`)
      return this.submit({ schedule: name, source: 'schedule', ...(traceId === undefined ? {} : { traceId }) })
    },
    start: async () => {},
    settled: async () => {},
    stop: async () => {},
  }

  submit(request: JobRequest = {}): FakeJob {
    this.#mayFail()
    const tasks = selectTasks(this.config.tasks, request)
    settleParams(tasks, request.params)
    const names = tasks.map(({ name }) => name)
    const job = new FakeJob(`job-${this.submitted.length + 1}`, request, names)
    job.noted = this.noted
    this.submitted.push(job)
    this.records.unshift(recordOf(job, names))
    return job
  }

  tasksOf(keys: readonly string[]) {
    const matched = new Map<string, string[]>()
    const unmatched: string[] = []
    for (const key of keys) {
      const task = [...this.config.tasks.values()].find((one) => key.startsWith(one.key.source.split('{')[0] as string))
      if (task === undefined) unmatched.push(key)
      else matched.set(task.name, [...(matched.get(task.name) ?? []), key])
    }
    return { matched, unmatched }
  }

  async jobs(): Promise<JobRecord[]> {
    this.#mayFail()
    return this.records
  }

  async job(id: string): Promise<JobRecord | null> {
    return this.records.find((record) => record.id === id) ?? null
  }

  async cancel(id: string): Promise<boolean | null> {
    const job = this.submitted.find((one) => one.id === id)
    if (job === undefined) return null
    if (job.status !== 'running') return false
    job.cancel()
    return true
  }

  status(): WarmerStatus {
    return this.state
  }

  async retune(changes: Changes): Promise<Config> {
    this.calls.push(['retune', changes])
    this.#mayFail()
    this.config = { ...this.config, settings: { ...this.config.settings, ...changes } }
    return this.config
  }

  async halt(reason = 'by hand'): Promise<HaltResult> {
    this.calls.push(['halt', reason])
    this.state = {
      ...this.state,
      emergency: { state: 'stopped', by: 'hand', reason, since: '2026-03-01T02:00:00.000Z' },
    }
    return this.halted
  }

  resume(): void {
    this.calls.push(['resume'])
    this.state = { ...this.state, emergency: { state: 'none' } }
  }

  async matching(pattern: string, limit: number, signal: AbortSignal): Promise<Matched> {
    signal.throwIfAborted()
    this.calls.push(['matching', pattern, limit])
    this.#mayFail()
    return this.matched
  }

  async clear(
    what: { pattern: string } | { task: string },
    { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
  ): Promise<ClearResult> {
    signal.throwIfAborted()
    this.calls.push(['clear', what, dryRun])
    this.#mayFail()
    if ('task' in what && !this.config.tasks.has(what.task))
      throw new PrewarmError('TASK_UNKNOWN', `There is no task '${what.task}'`)
    return { matched: 3, deleted: dryRun ? 0 : 3, sample: ['film:1'], dryRun }
  }

  async predict(options: {
    limit: number
    windowMs: number
    predictor?: PredictorName | undefined
  }): Promise<HotKey[]> {
    this.calls.push(['predict', options])
    this.#mayFail()
    return this.hot
  }

  async prediction(): Promise<PredictionStatus> {
    this.#mayFail()
    return this.predicted
  }

  async optimizeSchedules(options?: OptimizeOptions): Promise<Optimization> {
    this.calls.push(['optimizeSchedules', options])
    this.#mayFail()
    return this.optimization
  }

  async recordReads(reads: readonly ToldReads[]): Promise<void> {
    this.calls.push(['recordReads', reads])
    this.#mayFail()
  }

  async readiness(): Promise<Readiness> {
    return this.ready
  }

  async metrics() {
    this.#mayFail()
    return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: '# HELP up a\n# TYPE up gauge\nup 1\n' }
  }

  async warmOnStartup() {
    return { did: 'stopped' } as const
  }
  async reload(): Promise<string[]> {
    return []
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  #mayFail(): void {
    if (this.failure !== undefined) throw this.failure
  }

  #away(): never {
    throw new PrewarmError('STORE_UNREACHABLE', 'there is no Redis in this test')
  }

  #view(name: string): ScheduleView {
    const view = this.views.get(name)
    if (view === undefined) throw new PrewarmError('NOT_FOUND', `There is no schedule '${name}'`)
    return view
  }

  #change(name: string, paused: boolean): ScheduleView {
    const view = { ...this.#view(name), paused, nextRunAt: paused ? null : '2026-03-01T02:00:00.000Z' }
    this.views.set(name, view)
    return view
  }
}

export function viewOf(rest: Partial<ScheduleRecord> & { running?: boolean } = {}): ScheduleView {
  const times = { lastRunAt: null, nextRunAt: '2026-03-01T02:00:00.000Z' }
  const view = { origin: 'custom' as const, paused: false, lastStatus: null, lastJobId: null, running: false, ...times }
  return { name: 'evening', spec: { ...SPEC, cron: '30 17 * * *' }, ...view, ...rest }
}

function recordOf(job: FakeJob, tasks: string[]): JobRecord {
  return {
    id: job.id,
    traceId: job.traceId,
    source: job.request.source ?? 'program',
    strategy: job.request.strategy ?? 'priority',
    schedule: job.request.schedule ?? null,
    tasks,
    status: 'running',
    submittedAt: '2026-03-01T02:00:00.000Z',
    request: job.request,
    result: null,
    instance: 'test-1',
  }
}
