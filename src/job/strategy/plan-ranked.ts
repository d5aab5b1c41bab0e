import type { Task } from '../../config/task.ts'
import type { SqlClient } from '../../origin/sql-client.ts'
import { type PlanOptions, planTask, type TaskPlan } from '../plan.ts'
import type { JobRanking } from './job-ranking.ts'

export interface RankOptions {
  ranking: JobRanking
  /** At most this many keys. */
  count: number | null
  signal: AbortSignal
}

type KeyPlan = Extract<TaskPlan, { kind: 'keys' }>

/**
 * Finds out what a task could warm: where `count` are wanted, and the strategy can tell which, more than these.
 *
 * @throws {PrewarmError} as `planTask`
 */
export async function planRanked(
  task: Task,
  client: () => SqlClient,
  options: Omit<PlanOptions, 'listed'>,
  ranking: JobRanking,
): Promise<TaskPlan> {
  return planTask(task, client, { ...options, listed: task.kind === 'sql' ? undefined : await ranking.listed() })
}

/**
 * A plan in the order of the strategy, with its priorities. A query keeps its own order, and has one priority.
 *
 * @returns `notChosen`: keys that were listed, and would have been wanted, but for the strategy
 * @throws {PrewarmError} `CONFIG_INVALID` for a strategy of the user's that does not do what it must
 */
export async function rankPlan(
  task: Task,
  plan: TaskPlan,
  { ranking, count, signal }: RankOptions,
): Promise<{ plan: TaskPlan; notChosen: number }> {
  if (plan.kind !== 'keys') {
    const rows = plan.kind === 'ranges' ? plan.total : plan.guess
    return { plan: { ...plan, priority: await ranking.rankQuery(task, rows) }, notChosen: 0 }
  }
  const wanted = count === null ? null : Math.max(0, count - plan.failures.length)
  const { keys, priorities } = await ranking.rank(task, plan.keys, wanted, signal)
  const all = Math.min(plan.keys.length, wanted ?? Number.POSITIVE_INFINITY)
  const isWhole = keys.length === plan.keys.length && plan.distinct !== undefined
  const distinct = isWhole ? { distinct: plan.distinct as ReadonlySet<string> } : {}
  return {
    plan: { kind: 'keys', keys, failures: plan.failures, priorities, ...distinct },
    notChosen: all - keys.length,
  }
}

/**
 * What a task would warm, in order; without `ranking` in the order listed.
 *
 * @throws {PrewarmError} as `planTask` and {@linkcode rankPlan}
 */
export async function planOf(
  task: Task,
  client: () => SqlClient,
  options: Omit<PlanOptions, 'listed'>,
  ranking: JobRanking | undefined,
): Promise<TaskPlan> {
  if (ranking === undefined) return planTask(task, client, options)
  const { count, signal } = options
  const plan = await planRanked(task, client, options, ranking)
  return (await rankPlan(task, plan, { ranking, count, signal })).plan
}

/** A plan without the keys that are not in `keys`. */
export function withOnly({ priorities, failures, ...plan }: KeyPlan, keys: ReadonlySet<string>): KeyPlan {
  const kept: number[] = []
  for (const [at, key] of plan.keys.entries()) if (keys.has(key)) kept.push(at)
  return {
    kind: 'keys',
    keys: kept.map((at) => plan.keys[at] as string),
    failures,
    ...(typeof priorities === 'object'
      ? { priorities: Float64Array.from(kept, (at) => priorities[at] as number) }
      : priorities === undefined
        ? {}
        : { priorities }),
  }
}
