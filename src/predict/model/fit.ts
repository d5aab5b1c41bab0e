import { HALF_LIVES } from './key-table.ts'
import { Moments } from './least-squares.ts'
import type { View } from './view.ts'

/** Half-lives of a last read's freshness, in windows: they tell apart what was read now and what was read a while ago. */
const FRESH_WINDOWS = [0.02, 0.1] as const
const RATES = 2 * HALF_LIVES.length
/** What is known of a key: its rates, its damped rates, and how fresh its last read is. */
export const FEATURES = RATES + FRESH_WINDOWS.length
const ALL_RATES = Array.from({ length: RATES }, (_, at) => at)
/**
 * The fits, by the features that each may use: the usual one; one that looks closer at when a key was last read, where users
 * come back within minutes; one that does not look at it, where what was just read is done with.
 */
const FITS: readonly (readonly number[])[] = [[...ALL_RATES, RATES + 1], [...ALL_RATES, RATES, RATES + 1], ALL_RATES]
/** How many fits there are. */
export const FIT_COUNT = FITS.length
/** What past windows weigh, beside one window later. */
const FADE = 0.9
/** Added to a key's mean rate where its error is weighed: counts vary as much as they are large, and few as much as one. */
const BASE_RATE = 0.1
/** Keys that are read less often than this, and were not read, tell nothing: 1 in a thousand windows. */
const LEAST_RATE = 0.001

/**
 * Expects the next window's reads of a key from its counters: least squares with weights that are not negative, fitted to past
 * windows. A key's error weighs by 1 / its rate, as counts vary the more the larger they are.
 */
export class Fits {
  readonly #moments = new Moments(FEATURES)
  #weights: readonly Float64Array[] = FITS.map(() => new Float64Array(FEATURES))

  /** Of a fit, by feature; all 0 as long as nothing was learned. */
  weights(fit: number): Float64Array {
    return this.#weights[fit] as Float64Array
  }

  get isEmpty(): boolean {
    return this.weights(0).every((weight) => weight === 0)
  }

  /** @param reads of the window that followed, by the view's places */
  learn(view: View, reads: Float64Array): void {
    this.#moments.fade(FADE)
    const x = new Float64Array(FEATURES)
    for (let place = 0; place < view.size; place++) {
      const target = reads[place] as number
      let rate = 0
      for (let at = 0; at < HALF_LIVES.length; at++) {
        x[at] = view.rates[at]?.[place] as number
        x[HALF_LIVES.length + at] = view.damped[at]?.[place] as number
        rate += (x[at] as number) / HALF_LIVES.length
      }
      if (target === 0 && rate < LEAST_RATE) continue
      for (let at = 0; at < FRESH_WINDOWS.length; at++) x[RATES + at] = freshness(view, place, at)
      this.#moments.add(x, target, 1 / (rate + BASE_RATE))
    }
    this.#solve()
  }

  /** Expected reads a window, by place. */
  score(view: View, fit: number): Float64Array {
    const scores = new Float64Array(view.size)
    const lists = [...view.rates, ...view.damped]
    for (const [feature, weight] of this.weights(fit).entries()) {
      if (weight === 0) continue
      const list = lists[feature]
      for (let place = 0; place < view.size; place++) {
        const value = list === undefined ? freshness(view, place, feature - RATES) : (list[place] as number)
        scores[place] = (scores[place] as number) + weight * value
      }
    }
    return scores
  }

  /** The numbers they were fitted from. */
  save(): { squares: number[]; products: number[] } {
    return { squares: [...this.#moments.squares], products: [...this.#moments.products] }
  }

  restore({ squares, products }: { squares: readonly number[]; products: readonly number[] }): void {
    this.#moments.squares.set(squares)
    this.#moments.products.set(products)
    this.#solve()
  }

  #solve(): void {
    this.#weights = FITS.map((features) => this.#moments.solve(features))
  }
}

/** 1: read just now; 0.5: the half-life ago. */
function freshness({ lastMs, nowMs, windowMs }: View, place: number, halfLife: number): number {
  const age = Math.max(0, nowMs - (lastMs[place] as number)) / windowMs
  return 2 ** (-age / (FRESH_WINDOWS[halfLife] as number))
}
