import { colonsOf } from '../../src/job/strategy/depth.ts'
import type { StrategyContext } from '../../src/job/strategy/types.ts'
import type { Demand } from '../../src/predict/demand.ts'

export interface ContextOptions extends Partial<StrategyContext> {
  /** Reads an hour, by key. */
  reads?: Readonly<Record<string, number>> | undefined
}

/** What a strategy is told of a task, with these reads. */
export function contextOf({ reads = {}, importance = 0, ...rest }: ContextOptions = {}): StrategyContext {
  const { readsPerHour, meanReadsPerHour, keys } = demandOf(reads)
  return {
    task: 'one',
    importance,
    importances: [importance],
    count: null,
    readsPerHour,
    meanReadsPerHour,
    leastReadsPerHour: keys.size === 0 ? 0 : Math.min(...keys.values()),
    costMs: null,
    meanCostMs: null,
    depth: colonsOf,
    ...rest,
  }
}

/** Demand of these reads an hour, by key; what is 0 was not read. */
export function demandOf(reads: Readonly<Record<string, number>>): Demand {
  const keys = new Map(Object.entries(reads).filter(([, rate]) => rate > 0))
  const sum = [...keys.values()].reduce((a, b) => a + b, 0)
  return {
    readsPerHour: (key) => keys.get(key) ?? 0,
    meanReadsPerHour: keys.size === 0 ? 0 : sum / keys.size,
    keys,
  }
}
