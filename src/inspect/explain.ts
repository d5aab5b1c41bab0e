import type { Task } from '../config/task.ts'
import type { TaskPlan } from '../job/plan.ts'
import type { JobRanking } from '../job/strategy/job-ranking.ts'
import type { ExplainedKey, PlanExplanation } from '../types.ts'

/** Keys that are shown, unless it is said how many. */
export const EXPLAINED = 20

/** What is known of one task's plan: its first keys, hottest first. */
export interface Looked {
  task: Task
  plan: TaskPlan
  /** Of a query, the first in its order. */
  keys: readonly string[]
}

/** Why the first keys of a job are in their order, over all its tasks. */
export async function explain(
  looked: readonly Looked[],
  { ranking, count }: { ranking: JobRanking; count: number },
): Promise<PlanExplanation> {
  const keys: ExplainedKey[] = []
  for (const one of looked) keys.push(...(await explained(one, ranking, count)))
  // A stable sort: equals stay in the order of their tasks, and of their plan.
  keys.sort((a, b) => b.priority - a.priority || scoreOf(b) - scoreOf(a))
  return {
    strategy: ranking.name,
    readsKnown: await ranking.readsKnown(),
    keys: keys.slice(0, count).map((one, at) => ({ ...one, rank: at + 1 })),
  }
}

function scoreOf({ why: { score } }: ExplainedKey): number {
  return score ?? 0
}

async function explained({ task, plan, keys }: Looked, ranking: JobRanking, count: number): Promise<ExplainedKey[]> {
  const context = await ranking.context(task, null)
  const some = keys.slice(0, count)
  if (plan.kind !== 'keys') {
    // Its batches have one priority, which comes from what is known of all its rows.
    const rows = plan.kind === 'ranges' ? plan.total : plan.guess
    const why = await ranking.explain(task, await ranking.queryFacts(task, rows))
    return some.map((key) => ({ rank: 0, key, task: task.name, priority: plan.priority ?? context.importance, why }))
  }
  const { priorities = context.importance } = plan
  return Promise.all(
    some.map(async (key, at) => ({
      rank: 0,
      key,
      task: task.name,
      priority: typeof priorities === 'number' ? priorities : (priorities[at] as number),
      why: await ranking.explain(task, { readsPerHour: context.readsPerHour(key), depth: context.depth(key) }),
    })),
  )
}
