import { hotnessOf, hottestFirst } from './hotness.ts'
import type { Strategy, StrategyContext } from './types.ts'

/**
 * The default: `score = importance x hotness / cost`, highest first; equals in the order in which they are listed.
 *
 * - importance: the task's priority where that is 1 or more; a smaller one becomes `1 / (2 - priority)`, which is above 0 and
 *   keeps the order: 0 is 1/2, -1 is 1/3.
 * - hotness: reads an hour, by the mean of the keys that are read.
 * - cost: of a key of the task, by the mean of the tasks that were measured; 1 where it was not measured.
 *
 * A key's priority is its score, turned back into a priority the same way: a key of usual hotness and cost has the priority of
 * its task. So without reads and costs everything runs by the tasks' priorities, then in the order listed. For the priority, costs
 * are rounded to powers of the root of 2: tasks that cost about the same take turns.
 */
export const priority: Strategy = {
  rank(keys, context) {
    const { keys: ordered, readsPerHour } = hottestFirst(keys, context)
    const priorityOf = priorities(context)
    if (readsPerHour === null) return { keys: ordered, priorities: priorityOf(0) }
    for (const [at, rate] of readsPerHour.entries()) readsPerHour[at] = priorityOf(rate)
    return { keys: ordered, priorities: readsPerHour }
  },

  rankQuery: ({ readsPerHour }, context) => priorities(context)(readsPerHour),

  explain({ readsPerHour }, context) {
    const { meanReadsPerHour, costMs } = context
    const [importance, hotness, cost] = [importanceOf(context), hotnessOf(readsPerHour, context), costOf(context)]
    return {
      score: (importance * hotness) / cost,
      importance,
      hotness,
      readsPerHour: meanReadsPerHour > 0 ? readsPerHour : null,
      cost,
      costMs,
    }
  },
}

function importanceOf({ importance }: StrategyContext): number {
  return importance >= 1 ? importance : 1 / (2 - importance)
}

function costOf({ costMs, meanCostMs }: StrategyContext): number {
  return costMs === null || meanCostMs === null ? 1 : costMs / meanCostMs
}

/** A key's priority by its reads an hour. */
function priorities(context: StrategyContext): (readsPerHour: number) => number {
  const cost = 2 ** (Math.round(2 * Math.log2(costOf(context))) / 2)
  if (context.meanReadsPerHour <= 0 && cost === 1) return () => context.importance
  const importance = importanceOf(context)
  return (readsPerHour) => {
    const score = (importance * hotnessOf(readsPerHour, context)) / cost
    return score >= 1 ? score : 2 - 1 / score
  }
}
