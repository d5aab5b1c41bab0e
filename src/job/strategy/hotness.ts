import type { StrategyContext } from './types.ts'

/** Keys with their reads an hour; null: no read of any of them is known. */
export interface Heat {
  readonly keys: readonly string[]
  readonly readsPerHour: Float64Array | null
}

/** The keys that are read most first; equals stay in their order. Where nothing is known, `keys` itself, at no cost. */
export function hottestFirst(keys: readonly string[], context: StrategyContext): Heat {
  if (context.meanReadsPerHour <= 0 || keys.length === 0) return { keys, readsPerHour: null }
  const rates = new Float64Array(keys.length)
  const read: number[] = []
  for (let at = 0; at < keys.length; at++) {
    const rate = context.readsPerHour(keys[at] as string)
    if (rate <= 0) continue
    rates[at] = rate
    read.push(at)
  }
  if (read.length === 0) return { keys, readsPerHour: null }
  // Few of many keys were read: the others need no sorting.
  read.sort((a, b) => (rates[b] as number) - (rates[a] as number) || a - b)
  const ordered = read.map((at) => keys[at] as string)
  for (let at = 0; at < keys.length; at++) if (rates[at] === 0) ordered.push(keys[at] as string)
  const sorted = new Float64Array(keys.length)
  for (const [rank, at] of read.entries()) sorted[rank] = rates[at] as number
  return { keys: ordered, readsPerHour: sorted }
}

/**
 * Reads an hour in units of the mean of the keys that are read. 1 where no read of any key is known; a key without a read has half
 * of what the least read one has, so that importance still orders those.
 */
export function hotnessOf(
  readsPerHour: number,
  { meanReadsPerHour, leastReadsPerHour }: Pick<StrategyContext, 'meanReadsPerHour' | 'leastReadsPerHour'>,
): number {
  if (meanReadsPerHour <= 0) return 1
  return (readsPerHour > 0 ? readsPerHour : leastReadsPerHour / 2) / meanReadsPerHour
}
