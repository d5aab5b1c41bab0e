import type { Clock } from '../../clock.ts'
import type { Task } from '../../config/task.ts'
import { PrewarmError } from '../../errors.ts'
import { type Demand, NO_DEMAND } from '../../predict/demand.ts'
import type { JobRequest } from '../../types.ts'
import { within } from '../within.ts'
import { askChecked, rankChecked } from './checked.ts'
import { colonsOf, declaredDepth, templateDepth } from './depth.ts'
import { BUILT_IN, strategyNames, strategyOf } from './register.ts'
import {
  type Explanation,
  NO_COSTS,
  type QueryFacts,
  type Ranking,
  type Strategy,
  type StrategyContext,
  type TaskCost,
  type TaskCosts,
} from './types.ts'

/** What rankings go by. */
export interface RankingSources {
  /** How often keys are read now; never throws. */
  demand: () => Promise<Demand>
  /** What tasks' keys cost; never throws. */
  costs: () => Promise<TaskCosts>
  clock: Clock
}

export interface JobRankingOptions extends RankingSources {
  /** All tasks of the configuration: a parent need not be part of the job. */
  tasks: ReadonlyMap<string, Task>
  /** The configuration's own. */
  strategies: Readonly<Record<string, Strategy>> | undefined
  defaultStrategy: string
  /** Of the job. */
  selected: readonly Task[]
  request: Pick<JobRequest, 'strategy' | 'order' | 'keys' | 'priority' | 'count'>
}

/** Bytes that are sent in a ms: 100 MB/s. */
const BYTES_PER_MS = 100_000
/** No key costs less, ms. */
const LEAST_COST_MS = 0.001
/** Where the best of a list are wanted, so many are looked at: of each key that is wanted, and at least. */
const LISTED_PER_KEY = 10
const LISTED = 100_000

interface Known {
  demand: Demand
  leastReadsPerHour: number
  costs: ReadonlyMap<string, number>
  meanCostMs: number | null
}

/** How one job's keys are ranked. What is known of reads and costs is asked for once, when it is first needed. */
export class JobRanking {
  /** The strategy's. */
  readonly name: string
  readonly #options: JobRankingOptions
  readonly #strategy: Strategy
  readonly #isGiven: boolean
  readonly #importances: readonly number[]
  #known: Promise<Known> | undefined

  /** @throws {PrewarmError} `PARAM_INVALID` for a strategy that is not known, or an order */
  constructor(options: JobRankingOptions) {
    const { request, strategies, defaultStrategy, selected } = options
    const { strategy: name = defaultStrategy, keys, strategy, order } = request
    const found = strategyOf(name, strategies)
    if (found === undefined) {
      const names = strategyNames(strategies).join(', ')
      throw new PrewarmError('PARAM_INVALID', `strategy is '${name}', expected one of ${names}`)
    }
    if (order !== undefined && order !== 'given' && order !== 'ranked')
      throw new PrewarmError('PARAM_INVALID', `order is '${order}', expected 'given' or 'ranked'`)
    this.#options = options
    this.#strategy = found
    this.name = name
    this.#isGiven = (order ?? (keys !== undefined && strategy === undefined ? 'given' : 'ranked')) === 'given'
    const importances = new Set(selected.map((task) => this.importanceOf(task)))
    this.#importances = Object.freeze([...importances].sort((a, b) => b - a))
  }

  importanceOf(task: Task): number {
    return this.#options.request.priority ?? task.priority
  }

  /** Reads of some key are known. */
  async readsKnown(): Promise<boolean> {
    return (await this.#knowledge()).demand.meanReadsPerHour > 0
  }

  /**
   * Tasks in the steps in which they begin: those of a step when those of the one before are planned.
   *
   * @throws {PrewarmError} `CONFIG_INVALID` for a strategy of the user's that does not do what it must
   */
  steps<T extends { task: Task }>(lanes: readonly T[]): T[][] {
    const strategy = this.#strategy
    if (strategy.level === undefined || this.#isGiven) return [[...lanes]]
    const { tasks } = this.#options
    const steps = new Map<number, T[]>()
    for (const lane of lanes) {
      const facts = { readsPerHour: 0, depth: templateDepth(lane.task, tasks) }
      const at = askChecked(this.#nameOf('level'), lane.task.name, () => strategy.level?.(facts) as number)
      steps.set(at, [...(steps.get(at) ?? []), lane])
    }
    return [...steps].sort(([a], [b]) => a - b).map(([, step]) => step)
  }

  /** How many of a task's keys are to be listed, where `count` are wanted; undefined: those that are listed first will do. */
  async listed(): Promise<number | undefined> {
    const { count } = this.#options.request
    if (count === undefined || this.#isGiven) return undefined
    const isOwn = !Object.hasOwn(BUILT_IN, this.name)
    if (!isOwn && (await this.#knowledge()).demand.meanReadsPerHour <= 0) return undefined
    return Math.max(LISTED_PER_KEY * count, LISTED)
  }

  /**
   * The keys that are to be warmed, at most `count`, in order.
   *
   * @throws {PrewarmError} `CONFIG_INVALID` for a strategy of the user's that does not do what it must
   */
  async rank(task: Task, keys: readonly string[], count: number | null, signal: AbortSignal): Promise<Ranking> {
    if (this.#isGiven) return firstOf({ keys, priorities: this.importanceOf(task) }, count)
    const context = await this.context(task, count)
    const { name } = this
    if (Object.hasOwn(BUILT_IN, name)) return firstOf((await this.#strategy.rank(keys, context)) as Ranking, count)
    const { clock } = this.#options
    const { timeoutMs } = task
    return firstOf(await rankChecked(this.#strategy, keys, context, { name, timeoutMs, clock, signal }), count)
  }

  /**
   * The priority of a query's batches.
   *
   * @param rows that it has, where that is known: its reads are told of one of them
   */
  async rankQuery(task: Task, rows: number | null): Promise<number> {
    const importance = this.importanceOf(task)
    const strategy = this.#strategy
    if (this.#isGiven || strategy.rankQuery === undefined) return importance
    const context = await this.context(task, null)
    const facts = await this.queryFacts(task, rows)
    return askChecked(this.#nameOf('rankQuery'), task.name, () => strategy.rankQuery?.(facts, context) as number)
  }

  /** What is known of a query's keys. */
  async queryFacts(task: Task, rows: number | null): Promise<QueryFacts> {
    const { demand } = await this.#knowledge()
    let [sum, read] = [0, 0]
    for (const [key, rate] of demand.keys) {
      if (task.key.match(key) === null) continue
      sum += rate
      read++
    }
    const keys = Math.max(read, rows ?? 0)
    return { readsPerHour: keys === 0 ? 0 : sum / keys, depth: templateDepth(task, this.#options.tasks) }
  }

  /** What a key's priority came from. */
  async explain(task: Task, of: QueryFacts): Promise<Explanation> {
    const context = await this.context(task, null)
    const { importance, costMs, meanReadsPerHour } = context
    if (this.#isGiven) return { importance }
    const readsPerHour = meanReadsPerHour > 0 ? of.readsPerHour : null
    const ask = () => this.#strategy.explain?.(of, context)
    const own = askChecked(this.#nameOf('explain'), task.name, ask, false)
    return own ?? { importance, readsPerHour, costMs, depth: of.depth }
  }

  async context(task: Task, count: number | null): Promise<StrategyContext> {
    const { demand, leastReadsPerHour, costs, meanCostMs } = await this.#knowledge()
    const declared = declaredDepth(task, this.#options.tasks)
    return {
      task: task.name,
      importance: this.importanceOf(task),
      importances: this.#importances,
      count,
      readsPerHour: (key) => demand.readsPerHour(key),
      meanReadsPerHour: demand.meanReadsPerHour,
      leastReadsPerHour,
      costMs: costs.get(task.name) ?? null,
      meanCostMs,
      depth: (key) => declared ?? colonsOf(key),
    }
  }

  #nameOf(method: 'rankQuery' | 'explain' | 'level'): string {
    return `strategies.${this.name}.${method}`
  }

  #knowledge(): Promise<Known> {
    this.#known ??= this.#ask()
    return this.#known
  }

  async #ask(): Promise<Known> {
    const { demand: ask, costs: askCosts, clock } = this.#options
    const [demand, measured] = this.#isGiven
      ? [NO_DEMAND, NO_COSTS]
      : await Promise.all([within(ask, NO_DEMAND, clock), within(askCosts, NO_COSTS, clock)])
    let least = 0
    for (const rate of demand.keys.values()) if (rate > 0 && (least === 0 || rate < least)) least = rate
    const costs = new Map<string, number>()
    let sum = 0
    for (const [name, cost] of measured) {
      const ms = costMsOf(cost)
      if (ms === null) continue
      costs.set(name, ms)
      sum += ms
    }
    return { demand, leastReadsPerHour: least, costs, meanCostMs: costs.size === 0 ? null : sum / costs.size }
  }
}

/** What a key costs: the time to load it, and to send it at 100 MB/s. Null: what was measured is no time. */
export function costMsOf({ loadMs, bytes }: TaskCost): number | null {
  const ms = Math.max(LEAST_COST_MS, loadMs + (bytes ?? 0) / BYTES_PER_MS)
  return Number.isFinite(ms) ? ms : null
}

function firstOf({ keys, priorities }: Ranking, count: number | null): Ranking {
  return { keys: count === null || keys.length <= count ? keys : keys.slice(0, count), priorities }
}
