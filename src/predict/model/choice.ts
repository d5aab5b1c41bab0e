/** Numbers of keys for which it is remembered how well each way covers; the nearest one counts. */
export const LEVELS = [10, 30, 100, 300, 1000, 3000, 10_000] as const
/** What past windows weigh, beside one window later. */
const FADE = 0.9

/** The level that is nearest to `limit`, by ratio. */
export function levelOf(limit: number): number {
  const distance = (level: number) => Math.abs(Math.log(LEVELS[level] as number) - Math.log(Math.max(1, limit)))
  let nearest = 0
  for (let level = 1; level < LEVELS.length; level++) if (distance(level) < distance(nearest)) nearest = level
  return nearest
}

/** Share of the reads that the first keys of each level had. @param total reads of the window, > 0 */
export function coverages(ranked: Uint32Array, reads: Float64Array, total: number): number[] {
  const shares: number[] = []
  let sum = 0
  let at = 0
  for (const level of LEVELS) {
    const end = Math.min(level, ranked.length)
    for (; at < end; at++) sum += reads[ranked[at] as number] as number
    shares.push(sum / total)
  }
  return shares
}

/** How well several ways of predicting covered past windows, the latest most. */
export class Choice {
  /** By way, then by level: sums that fade. */
  readonly #covered: number[][]

  constructor(ways: number) {
    this.#covered = Array.from({ length: ways }, () => LEVELS.map(() => 0))
  }

  add(shares: readonly (readonly number[])[]): void {
    for (const [way, sums] of this.#covered.entries())
      for (const [level, sum] of sums.entries()) sums[level] = sum * FADE + (shares[way]?.[level] ?? 0)
  }

  /**
   * The way that covered most for about `limit` keys; of equals the first.
   *
   * @param of the ways to choose from @param margin share by which another one must be better than the first of them
   */
  best(limit: number, of: readonly number[], margin = 0): number {
    const level = levelOf(limit)
    const first = of[0] as number
    let best = first
    let most = (this.#covered[first]?.[level] as number) * (1 + margin)
    for (const way of of.slice(1)) {
      const covered = this.#covered[way]?.[level] as number
      if (covered <= most) continue
      best = way
      most = covered
    }
    return best
  }

  save(): number[][] {
    return this.#covered.map((sums) => [...sums])
  }

  restore(covered: readonly (readonly number[])[]): void {
    for (const [way, sums] of covered.entries()) this.#covered[way] = [...sums]
  }
}
