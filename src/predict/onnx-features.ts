/** Half-lives of the decayed rates among the {@linkcode FEATURES}, in windows. */
export const FEATURE_HALF_LIVES = [0.5, 2, 8, 32] as const

/**
 * What an outside model is told of each key, in this order, as float32. All of it is what was known at the end of the last
 * whole window; what was read since then is not in it. A window is as long as `prediction.window` says.
 *
 * - `rate_0_5`, `rate_2`, `rate_8`, `rate_32`: reads a window, decayed with a half-life of so many windows `h`: with `c1` the
 *   reads of the last window, `c2` of the one before it, and so on, `(1 - 2^(-1/h)) * (c1 + c2 * 2^(-1/h) + c3 * 2^(-2/h) + ...)`
 * - `last_window`: `c1`
 * - `mean`: all reads that were counted since the key was first seen, by `age_windows`: reads a window
 * - `idle_windows`: from the last read to the end of the last window, in windows; at least 0, not rounded
 * - `age_windows`: windows from the one in which the key was first seen to the last one, both counted; at least 1
 */
export const FEATURES = [
  'rate_0_5',
  'rate_2',
  'rate_8',
  'rate_32',
  'last_window',
  'mean',
  'idle_windows',
  'age_windows',
] as const

/** What is known of one key's reads at the end of a window. Lengths of time in windows. */
export interface KeyHistory {
  /** Reads a window, by half-life: those of {@linkcode FEATURE_HALF_LIVES}. */
  rates: ArrayLike<number>
  /** Reads in the last window. */
  lastWindow: number
  /** Reads since the key was first seen. */
  total: number
  /** Since the last read. */
  idleWindows: number
  /** Since the key was first seen; 1: in the last window. */
  ageWindows: number
}

/** Writes a key's {@linkcode FEATURES} into row `row` of `features`. */
export function writeFeatures(features: Float32Array, row: number, history: KeyHistory): void {
  const age = Math.max(1, history.ageWindows)
  let at = row * FEATURES.length
  for (let index = 0; index < FEATURE_HALF_LIVES.length; index++) features[at++] = history.rates[index] ?? 0
  features[at++] = history.lastWindow
  features[at++] = history.total / age
  features[at++] = Math.max(0, history.idleWindows)
  features[at] = age
}
