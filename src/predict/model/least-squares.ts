/** Rounds of adjusting one weight after the other; most fits need far fewer. */
const MAX_ROUNDS = 1000
/** A round that changes the fitted values by less than this share of the target ends it. */
const TOLERANCE = 1e-9
/** A feature that varies less than this share of the strongest one is as good as constant, and gets no weight. */
const LEAST_VARIANCE = 1e-12

/**
 * Sums of products from which weights are fitted by least squares: what a sum of features comes closest to the target. Bounded
 * by the number of features, whatever is added.
 */
export class Moments {
  readonly features: number
  /** Sum of weight * x[i] * x[j], all pairs, by row. */
  readonly squares: Float64Array
  /** Sum of weight * x[i] * target. */
  readonly products: Float64Array

  constructor(features: number) {
    this.features = features
    this.squares = new Float64Array(features * features)
    this.products = new Float64Array(features)
  }

  /** Multiplies all that was added by `factor`, so that the past fades. */
  fade(factor: number): void {
    for (let at = 0; at < this.squares.length; at++) this.squares[at] = (this.squares[at] as number) * factor
    for (let at = 0; at < this.products.length; at++) this.products[at] = (this.products[at] as number) * factor
  }

  add(x: Float64Array, target: number, weight: number): void {
    const { features, squares, products } = this
    for (let row = 0; row < features; row++) {
      const scaled = weight * (x[row] as number)
      if (scaled === 0) continue
      for (let column = 0; column < features; column++) {
        const at = row * features + column
        squares[at] = (squares[at] as number) + scaled * (x[column] as number)
      }
      products[row] = (products[row] as number) + scaled * target
    }
  }

  /**
   * The weights, none below 0, that come closest to the target (coordinate descent). All 0: nothing was learned.
   *
   * @param of the features to fit; others get 0. @default all
   */
  solve(of: readonly number[] = Array.from({ length: this.features }, (_, at) => at)): Float64Array {
    const { features, squares, products } = this
    const weights = new Float64Array(features)
    const strongest = Math.max(...of.map((at) => squares[at * features + at] as number))
    const used = of.filter((at) => (squares[at * features + at] as number) > strongest * LEAST_VARIANCE)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let moved = 0
      let whole = 0
      for (const row of used) {
        const square = squares[row * features + row] as number
        let left = products[row] as number
        for (const column of used)
          if (column !== row) left -= (squares[row * features + column] as number) * (weights[column] as number)
        const weight = Math.max(0, left / square)
        moved += square * (weight - (weights[row] as number)) ** 2
        whole += square * weight ** 2
        weights[row] = weight
      }
      if (moved <= whole * TOLERANCE ** 2) break
    }
    return weights
  }
}
