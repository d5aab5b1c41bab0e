import { hotnessOf, hottestFirst } from './hotness.ts'
import type { QueryFacts, Strategy, StrategyContext } from './types.ts'

/**
 * By depth: keys with fewer `:` first, parents before children. Within a level the more important task first, then the keys that
 * are read more, then the order in which they are listed.
 *
 * A level's priority is the highest of the job's tasks less the depth; a key is less than 1 below that, the less important and
 * the less read the further. So the batches of all tasks of a job leave level by level. Only their order is kept: a child's
 * batch may begin while the last ones of the level above are on their way, wait for another try, or read a stream.
 */
export const breadth: Strategy = {
  rank(keys, context) {
    const heat = hottestFirst(keys, context)
    const depths = new Float64Array(keys.length)
    let isLevel = true
    for (const [at, key] of heat.keys.entries()) {
      depths[at] = context.depth(key)
      isLevel &&= depths[at] === depths[0]
    }
    const rateAt = (at: number) => heat.readsPerHour?.[at] ?? 0
    if (isLevel && heat.readsPerHour === null)
      return { keys: heat.keys, priorities: keys.length === 0 ? 0 : priorityOf(depths[0] as number, 0, context) }
    if (isLevel) {
      const priorities = depths.map((depth, at) => priorityOf(depth, rateAt(at), context))
      return { keys: heat.keys, priorities }
    }
    const order = Uint32Array.from(depths, (_, at) => at)
    order.sort((a, b) => (depths[a] as number) - (depths[b] as number) || a - b)
    const priorities = Float64Array.from(order, (at) => priorityOf(depths[at] as number, rateAt(at), context))
    return { keys: Array.from(order, (at) => heat.keys[at] as string), priorities }
  },

  rankQuery: ({ depth, readsPerHour }, context) => priorityOf(depth, readsPerHour, context),

  explain({ depth, readsPerHour }, { importance, meanReadsPerHour }: StrategyContext) {
    return { depth, importance, readsPerHour: meanReadsPerHour > 0 ? readsPerHour : null }
  },

  level: ({ depth }: QueryFacts) => depth,
}

function priorityOf(depth: number, readsPerHour: number, context: StrategyContext): number {
  const { importance, importances, meanReadsPerHour } = context
  const place = Math.max(0, importances.indexOf(importance))
  // Between 0 and 1: the hotter, the less.
  const coldness = meanReadsPerHour > 0 ? 1 / (1 + hotnessOf(readsPerHour, context)) : 0
  return (importances[0] ?? importance) - depth - (place + coldness) / Math.max(1, importances.length)
}
