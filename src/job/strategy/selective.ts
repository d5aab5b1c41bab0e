import { hottestFirst } from './hotness.ts'
import type { Strategy, StrategyContext } from './types.ts'

/**
 * The keys that are read most, at most `count` of them; equals in the order in which they are listed.
 *
 * Priority falls linearly with the rank, which begins at 0: `base * (N - rank) / N`, where the base is the task's priority and N
 * the number of keys. A base of 0 or below would rise so: there it falls by 1 in all, `base - rank / N`.
 */
export const selective: Strategy = {
  rank(keys, context) {
    const { keys: ordered } = hottestFirst(keys, context)
    const { count, importance } = context
    const chosen = count === null || ordered.length <= count ? ordered : ordered.slice(0, count)
    const size = chosen.length
    const priorities = new Float64Array(size)
    for (let rank = 0; rank < size; rank++) priorities[rank] = falling(importance, rank, size)
    return { keys: chosen, priorities }
  },

  explain({ readsPerHour }, { importance, meanReadsPerHour }: StrategyContext) {
    return { importance, readsPerHour: meanReadsPerHour > 0 ? readsPerHour : null }
  },
}

function falling(base: number, rank: number, size: number): number {
  return base > 0 ? (base * (size - rank)) / size : base - rank / size
}
