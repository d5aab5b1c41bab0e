import { getLogger } from '@logtape/logtape'
import { clear } from './clear.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config/load.ts'
import type { Task } from './config/task.ts'
import { hasEnded } from './coordination/job-record.ts'
import type { Commands, HotKey, JobRecord } from './coordination/types.ts'
import { Dispatcher, type DispatcherBounds, type EndedBatch } from './dispatcher.ts'
import { PrewarmError } from './errors.ts'
import type { EventLog } from './events/event-log.ts'
import { KeyBudget } from './events/key-budget.ts'
import type { EventOf, EventType } from './events/types.ts'
import type {
  Changes,
  ClearResult,
  HaltResult,
  Matched,
  Readiness,
  Schedules,
  WarmerFacade,
  WarmerStatus,
} from './facade.ts'
import { gainFigures } from './gain/figures.ts'
import type { GainLog } from './gain/gain-log.ts'
import { type WarmingPerformance, warmingPerformance } from './gain/performance.ts'
import { poolOf, sizesOf } from './gain/sizes.ts'
import { type CacheWarmingStats, warmingStats } from './gain/stats.ts'
import { Emergency } from './halt.ts'
import { batchEvent, keyEvents } from './job/describe.ts'
import type { JobHandle } from './job/job.ts'
import { MemoryGate } from './job/memory-gate.ts'
import type { TaskPlan } from './job/plan.ts'
import type { JobRanking } from './job/strategy/job-ranking.ts'
import { planOf } from './job/strategy/plan-ranked.ts'
import { rankingOf } from './job/strategy/ranking-of.ts'
import { JobTotals } from './job/totals.ts'
import { tasksOfKeys } from './keyspace/known.ts'
import type { ToldReads } from './learn/told.ts'
import { listKeys, matching } from './matching.ts'
import type { CacheRead, Metrics } from './metrics/prometheus.ts'
import { optimize } from './optimize/index.ts'
import type { Optimization, OptimizeOptions } from './optimize/types.ts'
import type { SqlClient } from './origin/sql-client.ts'
import type { Origin } from './origin/types.ts'
import type { PredictionStatus, PredictorName } from './predict/types.ts'
import { readiness } from './readiness.ts'
import { changesBetween, needsRestart, poolSize, retuned } from './retune.ts'
import { Runner } from './runner.ts'
import { type StartupOutcome, warmOnStartup } from './schedule/startup.ts'
import type { Snapshots } from './snapshot/snapshots.ts'
import type { Store } from './store/types.ts'
import type { JobRequest, Params } from './types.ts'
import type { ServiceParts, WarmerParts } from './warmer-parts.ts'

const log = getLogger(['prewarm'])

/** Bound on the writing of one batch, ms. */
const STORE_TIMEOUT_MS = 5000
/** What stop() and a cancelled job leave workers to finish what they are writing, ms. */
const STOP_TIMEOUT_MS = 1500
/** What an emergency stop by hand leaves workers to answer, ms: a write that was sent, and its settling. */
const HALT_TIMEOUT_MS = STORE_TIMEOUT_MS + 2500
const MAX_JOBS = 200

/** The facade: submits jobs, shows plans, starts and stops everything below it. */
export class Warmer implements WarmerFacade {
  readonly events: EventLog
  readonly schedules: Schedules
  /** Saves the ranked list of hot keys, and warms it again. */
  readonly snapshots: Snapshots
  readonly #parts: WarmerParts
  readonly #dispatcher: Dispatcher
  readonly #runner: Runner
  readonly #emergency: Emergency
  readonly #totals = new JobTotals()
  #metrics: Metrics | undefined
  readonly #service: ServiceParts | null
  readonly #ending = new AbortController()
  readonly #bornNs: number
  #keyBudget: KeyBudget
  #startup: Promise<unknown> | undefined
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(parts: WarmerParts) {
    const { clock, events, pool, guard } = parts
    this.#parts = parts
    this.#bornNs = clock.nowNs()
    this.events = events
    this.#keyBudget = new KeyBudget(this.config.settings.keyEventsPerSecond, clock)
    const memory = new MemoryGate({ ...parts, settings: () => this.config.settings.memory, onWarning: parts.notice })
    this.#dispatcher = new Dispatcher({
      pool,
      guard,
      clock,
      memory,
      ...boundsOf(this.config),
      storeTimeoutMs: STORE_TIMEOUT_MS,
      keyEvents: (keys) => (events.isHeard('key') ? this.#keyBudget.take(keys) : 0),
      onBatch: (batch) => this.#tell(batch),
    })
    this.#runner = new Runner({
      ...parts,
      config: () => this.config,
      dispatcher: this.#dispatcher,
      totals: this.#totals,
      memory,
      start: () => this.start(),
    })
    const thresholdMs = () => this.config.settings.emergencyThresholdMs
    this.#emergency = new Emergency({ ...parts, dispatcher: this.#dispatcher, runner: this.#runner, thresholdMs })
    parts.guardHooks.onFree = () => this.#dispatcher.wake()
    parts.guardHooks.onEmergency = (change) => this.#emergency.told(change)
    this.schedules = parts.schedules(this)
    this.snapshots = parts.snapshots(this)
    this.#service = parts.service?.(this) ?? null
    if (this.#service !== null) this.#measure()
  }

  /** As it is now. */
  get config(): Config {
    return this.#parts.current.config
  }

  get instance(): string {
    return this.#parts.instance
  }

  get clock(): Clock {
    return this.#parts.clock
  }

  get commands(): Commands {
    return this.#parts.commands
  }

  /** Of the Redis that it warms, also of an embedded one. */
  get redisUrl(): string {
    return this.#parts.workerSetup().redisUrl
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
   * Connects the store and starts the workers; a service then also keeps its schedules and takes up unfinished jobs.
   * Safe to call twice; `submit` calls it.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE` within 5 s, or what kept the first worker from starting
   */
  start(): Promise<void> {
    if (this.#stopped !== undefined && this.#started === undefined) return Promise.reject(stoppedError())
    this.#started ??= (async () => {
      await this.#parts.store.connect(5000)
      await this.#parts.pool.start()
      await this.#service?.start()
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
   * @throws {PrewarmError} `TASK_UNKNOWN`, `USAGE`, `PARAM_INVALID`, `KEYS_UNMATCHED` for a request that can't be met,
   * `STOPPED` after `stop`
   */
  submit(request: JobRequest = {}): JobHandle {
    if (this.#stopped !== undefined) throw stoppedError()
    return this.#runner.submit(request)
  }

  /** Takes up a job that an instance which is gone has left unfinished, under its own id. */
  resubmit({ id, request, traceId }: JobRecord): JobHandle {
    if (this.#stopped !== undefined) throw stoppedError()
    return this.#runner.submit({ ...request, traceId }, id)
  }

  tasksOf(keys: readonly string[]): { matched: Map<string, string[]>; unmatched: string[] } {
    return tasksOfKeys(this.config.tasks, keys)
  }

  /** What a task would warm now. Reads the origin, writes nothing. */
  async planOf(
    task: Task,
    params: Params,
    options: { count?: number; batchSize?: number; signal?: AbortSignal; ranking?: JobRanking } = {},
  ): Promise<TaskPlan> {
    const { count = null, batchSize = task.batchSize, signal = new AbortController().signal, ranking } = options
    return planOf(task, this.#parts.client, { params, count, batchSize, signal }, ranking)
  }

  /** How the keys of a request for these tasks are ranked. @throws {PrewarmError} `PARAM_INVALID` for a strategy that is not known */
  rankingOf(request: JobRequest, selected: readonly Task[]): JobRanking {
    return rankingOf(this.config, request, selected, this.#parts)
  }

  async jobs(): Promise<JobRecord[]> {
    const running = this.#runner.records
    const ids = new Set(running.map(({ id }) => id))
    const ended = (await this.#parts.jobLog.list()).filter(({ id }) => !ids.has(id))
    const all = [...running, ...ended].sort((a, b) => (a.submittedAt < b.submittedAt ? 1 : -1))
    return all.slice(0, MAX_JOBS)
  }

  async job(id: string): Promise<JobRecord | null> {
    return this.#runner.records.find((record) => record.id === id) ?? (await this.#parts.jobLog.get(id))
  }

  async cancel(id: string): Promise<boolean | null> {
    if (this.#runner.cancel(id)) return true
    const record = await this.#parts.jobLog.get(id)
    if (record === null) return null
    if (!hasEnded(record) && record.instance !== this.instance) {
      throw new PrewarmError('CONFLICT', `Job ${id} is run by the instance '${record.instance}': cancel it there`)
    }
    return false
  }

  status(): WarmerStatus {
    const { guard, pool } = this.#parts
    const { jobs, succeeded, failed, originRequests, cacheWrites, averageDurationMs } = this.#totals
    const { rateLimitHits, emergencyStops } = guard.state
    const counts = { jobs, succeeded, failed, originRequests, cacheWrites, averageDurationMs }
    return {
      running: this.#stopped === undefined,
      activeJobs: this.#runner.running,
      queuedTasks: this.#dispatcher.queued,
      queueDepth: this.#dispatcher.depth,
      workers: pool.status().map(({ id, state, current }) => ({
        id: `worker-${id}`,
        state: state === 'starting' ? 'starting' : current === null ? 'idle' : 'busy',
        currentKey: current?.key ?? null,
        startedAt: current === null ? null : new Date(current.sentMs).toISOString(),
      })),
      emergency: this.#emergency.state,
      totals: { ...counts, rateLimitHits, emergencyStops: emergencyStops + this.#emergency.times },
    }
  }

  async retune(changes: Changes): Promise<Config> {
    this.#takeOver(retuned(this.config, changes))
    return this.config
  }

  async reload(config: Config): Promise<string[]> {
    const left = needsRestart(this.config.settings, config.settings)
    this.#takeOver(config)
    this.#parts.pool.replace(this.#parts.workerSetup())
    this.#dispatcher.wake()
    return left
  }

  async halt(reason = 'stopped by hand'): Promise<HaltResult> {
    return this.#emergency.halt(reason, HALT_TIMEOUT_MS)
  }

  resume(): void {
    this.#emergency.resume()
  }

  matching(pattern: string, limit: number, signal: AbortSignal): Promise<Matched> {
    const { client, store, predictor } = this.#parts
    const list = (task: Task, count: number) => listKeys(task, client, { count, signal })
    return matching({ tasks: this.config.tasks, pattern, limit, store, list, predictor, signal })
  }

  clear(
    what: { pattern: string } | { task: string },
    options: { dryRun: boolean; signal: AbortSignal },
  ): Promise<ClearResult> {
    return clear({ tasks: this.config.tasks, what, store: this.#parts.store, ...options })
  }

  predict(options: { limit: number; windowMs: number; predictor?: PredictorName | undefined }): Promise<HotKey[]> {
    return this.#parts.predictor.predict(options)
  }

  /**
   * The keys that are likely to be read in the next `windowMs`, hottest first, each with its score and why.
   *
   * @param limit at most this many keys
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  predictHotKeys(windowMs: number, limit: number): Promise<HotKey[]> {
    return this.predict({ windowMs, limit })
  }

  prediction(): Promise<PredictionStatus> {
    return this.#parts.prediction()
  }

  async optimizeSchedules(options?: OptimizeOptions): Promise<Optimization> {
    if (this.#stopped !== undefined) throw stoppedError()
    await this.#parts.gain.flush()
    const { config, schedules } = this
    return optimize({ ...this.#parts, config, schedules, jobs: () => this.jobs() }, options)
  }

  async readiness(): Promise<Readiness> {
    const { ready, failures } = await readiness(this.config, this.commands, this.#parts.client)
    return { ready: ready && this.#stopped === undefined, failures }
  }

  get isWarm(): boolean {
    const { startedDeadlineMs } = this.config.settings.control
    return this.#totals.wholeJobs > 0 || (this.clock.nowNs() - this.#bornNs) / 1e6 >= startedDeadlineMs
  }

  metrics(): Promise<{ contentType: string; text: string }> {
    return this.#measure().text()
  }

  warmOnStartup(): Promise<StartupOutcome> {
    const { clock, locks } = this.#parts
    const { settings } = this.config
    const startup = warmOnStartup({
      settings,
      submit: (request) => this.submit(request),
      locks,
      clock,
      signal: this.#ending.signal,
    })
    this.#startup = startup
    return startup
  }

  /** Tells of a read of the application's: what is predicted, and the hit rate, go by these. */
  recordRead({
    key,
    tier,
    filledBy = 'unknown',
  }: {
    key: string
    tier: CacheRead['tier']
    filledBy?: CacheRead['filledBy']
  }): void {
    this.#parts.recordAccess(key, tier)
    this.#measure().recordRead({ tier, filledBy })
  }

  /** The same for many reads at once, also of the last 25 hours. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  recordReads(reads: readonly ToldReads[]): Promise<void> {
    return this.#parts.recordReads(reads)
  }

  /** Counts what readers found: the observer of a cache of this program's. */
  get gain(): GainLog {
    return this.#parts.gain
  }

  /**
   * What readers of this process found, by its own counts, and how its workers are. `cache.ttl` in seconds, `cache.hitRate`
   * from 0 to 1, null before the first read. What it means: `verdictOf`.
   */
  getCacheWarmingStats(): CacheWarmingStats {
    const { settings, tasks } = this.config
    return warmingStats({
      enabled: this.#stopped === undefined,
      reads: this.#parts.gain.counters.totals(),
      ttlMs: settings.defaultTtlMs,
      pool: poolOf(this.status()),
      config: sizesOf(tasks, settings.maxBatchSize),
    })
  }

  /**
   * How well warming does, of all processes on this Redis, in the last six hours.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  async getWarmingPerformance(): Promise<WarmingPerformance> {
    const { gain, commands, clock } = this.#parts
    await gain.flush()
    const results = (await this.jobs()).flatMap(({ result }) => result ?? [])
    return warmingPerformance(results, await gainFigures({ commands, clock }), clock.nowMs())
  }

  /** Reads that were told of. */
  get reads(): { hits: number; misses: number } {
    const { hits, misses } = this.#parts.gain.counters.totals()
    return { hits, misses }
  }

  /** Calls `listener` with every event of one type; the returned function ends that. */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.events.on(type, listener)
  }

  /** Cancels every job, ends the workers, closes connections and embedded servers. Bounded; safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      this.#ending.abort()
      const { pool, store, cleanUps } = this.#parts
      await Promise.allSettled([this.schedules.stop()])
      await this.#runner.stop({ code: 'STOPPED', message: 'The warmer was stopped' }, () => pool.stop(STOP_TIMEOUT_MS))
      await Promise.allSettled([this.schedules.settled(), this.#startup])
      const ends = [() => this.#service?.stop(), () => this.#metrics?.close(), () => store.close(), ...cleanUps]
      for (const end of ends) {
        try {
          await end()
        } catch (error) {
          log.warn('clean-up failed: {error}', { error })
        }
      }
    })()
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #measure(): Metrics {
    this.#metrics ??= this.#parts.metrics(this)
    return this.#metrics
  }

  #tell({ lane, end, ...place }: EndedBatch): void {
    this.#totals.addBatch(end)
    if (end.status === 'done') {
      const { task, options } = lane
      const ttlMs = options.ttlMs ?? task.ttlMs
      this.#parts.gain.warmed({ task: task.name, keys: end.report.keys.written, ttlMs, jitter: task.ttlJitter })
      this.#parts.gain.costs.add(task.name, end.report)
    }
    const batch = { ...place, task: lane.task.name }
    if (this.events.isHeard('batch')) this.events.emit(batchEvent(batch, end))
    for (const event of keyEvents(batch, end)) this.events.emit(event)
  }

  #takeOver(config: Config): void {
    const { current, guard, pool, clock } = this.#parts
    const before = current.config.settings
    const changes = changesBetween(before, config.settings)
    current.config = config
    const { maxOriginRps: maxRps, concurrentWarmers: maxConcurrent, emergencyThresholdMs } = config.settings
    guard.retune({ maxRps, maxConcurrent, emergencyThresholdMs })
    this.#keyBudget = new KeyBudget(config.settings.keyEventsPerSecond, clock)
    const { threads, slots } = poolSize(config.settings)
    pool.resize(threads, slots)
    // A worker opens no more database connections than it was told of when it began.
    if (maxConcurrent > before.concurrentWarmers) pool.replace(this.#parts.workerSetup())
    this.#runner.retune()
    this.#dispatcher.retune(boundsOf(config))
    if (Object.keys(changes).length > 0) this.events.emit({ type: 'config_changed', changes })
  }
}

function boundsOf({ settings }: Config): DispatcherBounds {
  const { maxOriginRps, backoffBaseMs, concurrentWarmers } = settings
  return { maxOriginRps, backoffBaseMs, maxOpenStreams: concurrentWarmers, maxStoreAway: 2 * concurrentWarmers }
}

function stoppedError(): PrewarmError {
  return new PrewarmError('STOPPED', 'The warmer was stopped: create another')
}
