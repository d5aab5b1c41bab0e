import type { WarmerOptions } from '../compose.ts'
import type { ConfigDefinition, TaskDefinition } from '../config/define.ts'
import { load } from '../config/define.ts'
import { BOUNDS } from '../config/fields.ts'
import { PrewarmError } from '../errors.ts'
import type { WarmerFacade } from '../facade.ts'
import { isOwnKey } from '../keyspace/known.ts'
import { keyTemplate } from '../keyspace/template.ts'
import type { TaskResult } from '../types.ts'
import { Measurements } from './measure.ts'
import {
  type BunCacheWarmerOptions,
  checkDuration,
  checkNumber,
  usage,
  type WarmTask,
  type WarmTaskResult,
} from './task-options.ts'

/** What it is made of; `prewarm` itself gives the real ones. */
export interface BunCacheWarmerParts {
  createWarmer: (options: WarmerOptions) => Promise<Pick<WarmerFacade, 'submit' | 'stop'>>
  env: () => Readonly<Record<string, string | undefined>>
  nowNs: () => number
  nowMs: () => number
}

interface Added {
  task: WarmTask
  key: string
  priority: number
  /** Its name in a configuration, which takes fewer characters. */
  id: string
}

/** What `execute` did in this run; `outcome` null: it has not ended. */
interface Run {
  startNs: number
  outcome: { did: 'end' | 'throw'; what: unknown; ns: number } | { did: 'abort'; ns: number } | null
}

/** Runs named functions in order of priority, and stores what they return: each call of `executeTasks` is one job of a warmer. */
export class BunCacheWarmer {
  /** Times of the tasks by name, and of whatever else is measured with it. */
  readonly performance: Measurements
  readonly #options: BunCacheWarmerOptions
  readonly #parts: BunCacheWarmerParts
  readonly #added = new Map<string, Added>()
  #isRunning = false

  /** @throws {PrewarmError} `USAGE` naming the option and its value */
  constructor(options: BunCacheWarmerOptions, parts: BunCacheWarmerParts) {
    this.#options = options
    this.#parts = parts
    this.performance = new Measurements({ nowNs: parts.nowNs })
    keyTemplate(`${this.#keyPrefix}{task}`)
    checkDuration('ttl', options.ttl, BOUNDS.ttlMs)
    checkDuration('taskTimeout', options.taskTimeout, BOUNDS.timeoutMs)
    checkDuration('timeout', options.timeout, BOUNDS.timeoutMs)
  }

  /** Names of the tasks, in the order in which they run. */
  get tasks(): string[] {
    return this.#ranked().map(({ task }) => task.name)
  }

  /**
   * Adds a task; it runs with every `executeTasks` from the next on.
   *
   * @throws {PrewarmError} `USAGE` for a name or key that is taken, or a value out of bounds; `KEY_INVALID`
   */
  addTask<T>(task: WarmTask<T>): this {
    const { name, priority = 0, execute, retries } = task
    if (typeof name !== 'string' || name === '') throw usage(`name is '${String(name)}', expected text`)
    if (this.#added.has(name)) throw usage(`There is a task '${name}' already: choose another name, or removeTask it`)
    const of = `of task '${name}'`
    if (typeof execute !== 'function') throw usage(`execute ${of} is ${typeof execute}, expected a function`)
    checkNumber(`priority ${of}`, priority, [-1_000_000, 1_000_000, false])
    checkNumber(`retries ${of}`, retries, BOUNDS.retries)
    checkDuration(`ttl ${of}`, task.ttl, BOUNDS.ttlMs)
    checkDuration(`timeout ${of}`, task.timeout, BOUNDS.timeoutMs)
    const key = task.key ?? keyTemplate(`${this.#keyPrefix}{task}`).format({ task: name })
    if (task.key !== undefined && keyTemplate(key).names.length > 0)
      throw usage(`key ${of} is '${key}', expected a whole key without placeholders`)
    if (isOwnKey(key)) throw usage(`key ${of} is '${key}', which is prewarm's own: choose another key or keyPrefix`)
    for (const other of this.#added.values())
      if (other.key === key) throw usage(`key ${of} is '${key}', which task '${other.task.name}' has already`)
    this.#added.set(name, { task: task as WarmTask, key, priority, id: this.#idFor(name) })
    return this
  }

  /** False: there was none. */
  removeTask(name: string): boolean {
    return this.#added.delete(name)
  }

  /**
   * Runs every task once, `concurrency` at a time, the highest priority first and equals as they were added. One that fails
   * does not keep others from running. What became of each is told in the order of priority.
   *
   * @param concurrency 1 (strictly one after the other) to 1000
   * @throws {PrewarmError} `CONFLICT` while another call runs, `USAGE`, `CONFIG_INVALID`, `EMBEDDED_*`; not for tasks that fail
   */
  async executeTasks(
    concurrency = 10,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<WarmTaskResult[]> {
    if (this.#isRunning) throw new PrewarmError('CONFLICT', 'executeTasks runs already: await it, then call it again')
    checkNumber('concurrency', concurrency, BOUNDS.concurrentWarmers)
    const ranked = this.#ranked()
    if (ranked.length === 0) return []
    this.#isRunning = true
    try {
      return await this.#execute(ranked, concurrency, signal)
    } finally {
      this.#isRunning = false
    }
  }

  async #execute(
    ranked: readonly Added[],
    concurrency: number,
    signal: AbortSignal | undefined,
  ): Promise<WarmTaskResult[]> {
    const runs = new Map<string, Run>()
    const tasks = Object.fromEntries(ranked.map((added) => [added.id, this.#definition(added, runs)]))
    const { redis = '', onNotice } = this.#options
    const warmer = await this.#parts.createWarmer({
      config: this.#config(tasks, concurrency),
      env: this.#env(),
      workers: 0,
      ...(redis === '' ? {} : { redisUrl: redis }),
      ...(onNotice === undefined ? {} : { onNotice }),
    })
    try {
      const { tasks: results } = await warmer.submit(signal === undefined ? {} : { signal }).result
      const byId = new Map(results.map((result) => [result.task, result]))
      return ranked.map((added) => this.#result(added, byId.get(added.id), runs.get(added.id)))
    } finally {
      await warmer.stop()
    }
  }

  #config(tasks: Record<string, TaskDefinition>, concurrency: number): ConfigDefinition {
    const { redis, ttl, timeout, maxOriginRps } = this.#options
    return {
      tasks,
      concurrentWarmers: concurrency,
      // How long a task takes says nothing of an origin: its own timeout bounds it.
      emergencyThresholdMs: BOUNDS.timeoutMs[1],
      ...(redis === undefined ? {} : { redis }),
      ...(ttl === undefined ? {} : { defaultTtl: ttl }),
      ...(timeout === undefined ? {} : { jobTimeoutMs: timeout }),
      ...(maxOriginRps === undefined ? {} : { maxOriginRps }),
    }
  }

  /** The environment goes before a configuration; what the program itself says goes before both. */
  #env(): Record<string, string | undefined> {
    const { env = this.#parts.env(), ttl, maxOriginRps } = this.#options
    return {
      ...env,
      WARMING_CONCURRENT_WARMERS: undefined,
      WARMING_EMERGENCY_THRESHOLD: undefined,
      ...(ttl === undefined ? {} : { WARMING_DEFAULT_TTL: undefined }),
      ...(maxOriginRps === undefined ? {} : { WARMING_MAX_ORIGIN_RPS: undefined }),
    }
  }

  #definition({ task, key, priority, id }: Added, runs: Map<string, Run>): TaskDefinition {
    const { name, execute, ttl, timeout = this.#options.taskTimeout ?? '1m', retries = 0 } = task
    const { nowNs, nowMs } = this.#parts
    return load({
      key: task.key ?? `${this.#keyPrefix}{task}`,
      value: 'json',
      priority,
      retries,
      timeoutMs: timeout,
      ...(ttl === undefined ? {} : { ttl }),
      select: () => [key],
      load: async (_, { signal }) => {
        const run: Run = { startNs: nowNs(), outcome: null }
        runs.set(id, run)
        const took = () => nowNs() - run.startNs
        try {
          const value = await this.performance.measure(name, async () => execute({ signal }))
          const ns = took()
          run.outcome = { did: 'end', what: value, ns }
          return new Map([[key, value ?? { task: name, ranAt: new Date(nowMs()).toISOString(), durationNs: ns }]])
        } catch (error) {
          // What it throws because it was told to stop says nothing of why it was.
          run.outcome = signal.aborted ? { did: 'abort', ns: took() } : { did: 'throw', what: error, ns: took() }
          throw error
        }
      },
    })
  }

  #result({ task, key, priority }: Added, result: TaskResult | undefined, run: Run | undefined): WarmTaskResult {
    const { name } = task
    const ran = run?.outcome ?? null
    const durationNs = ran?.ns ?? (run === undefined ? 0 : this.#parts.nowNs() - run.startNs)
    const told = { name, key, priority, durationNs }
    if (result?.status === 'success' && ran?.did === 'end') return { ...told, status: 'fulfilled', value: ran.what }
    const error = result?.firstError ?? { code: 'INTERNAL', message: `Nothing is known of task '${name}'` }
    const reason = ran?.did === 'throw' ? ran.what : new PrewarmError(error.code, error.message)
    return { ...told, status: 'rejected', reason, error }
  }

  get #keyPrefix(): string {
    return this.#options.keyPrefix ?? 'warmup:'
  }

  #ranked(): Added[] {
    return [...this.#added.values()].sort((a, b) => b.priority - a.priority)
  }

  /** As much of the name as a configuration takes, so that logs tell it. */
  #idFor(name: string): string {
    const base = name.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^(?![A-Za-z])/, 'task-')
    const taken = new Set([...this.#added.values()].map(({ id }) => id))
    let id = base
    for (let number = 2; taken.has(id); number++) id = `${base}-${number}`
    return id
  }
}
