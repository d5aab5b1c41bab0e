/**
 * Whether a value that is fresh for another `leftMs` is refreshed already now, so that not all readers find it stale at once:
 * true if `-deltaMs * beta * ln(random) >= leftMs`. The chance is `exp(-leftMs / (deltaMs * beta))`: it grows towards the end, and
 * earlier where loading takes longer.
 *
 * Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015 (XFetch).
 *
 * @param deltaMs how long a load takes; 0 where that is not known: never
 * @param beta 1 is optimal, more is earlier, 0 is never
 * @param random from 0 (inclusive) to 1
 */
export function isDueEarly(leftMs: number, deltaMs: number, beta: number, random: number): boolean {
  if (!(deltaMs > 0) || !(beta > 0) || leftMs === Number.POSITIVE_INFINITY) return false
  return -deltaMs * beta * Math.log(1 - random) >= leftMs
}

/** How long loads take, by keyspace: an average in which the last ones count most. */
export class LoadTimes {
  readonly #averages = new Map<string | null, number>()

  /** ms; 0 before the first load. */
  of(keyspace: string | null): number {
    return this.#averages.get(keyspace) ?? 0
  }

  add(keyspace: string | null, ms: number): void {
    const before = this.#averages.get(keyspace)
    this.#averages.set(keyspace, before === undefined ? ms : before + WEIGHT * (ms - before))
  }
}

/** Of a new load in the average. */
const WEIGHT = 0.2
