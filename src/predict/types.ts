import type { HotKey } from '../coordination/types.ts'
import type { Count } from './hot-counts.ts'
import type { KeyHistory } from './onnx-features.ts'

/** The ways of predicting, by name. `onnx` is an outside model. */
export const PREDICTORS = ['learned', 'decayed', 'heuristic', 'frequency', 'recency', 'onnx'] as const
export type PredictorName = (typeof PREDICTORS)[number]

/** What was read in one window, by key: the same from every source, and bounded, as the keys that were read least may be missing. */
export interface AccessWindow {
  /** ms since 1970, or the number of a request where a source tells no times. */
  fromMs: number
  toMs: number
  /** Of all keys, also of those that are missing in `keys`. */
  reads: number
  keys: ReadonlyMap<string, Count>
}

/** How a prediction for one window did, once that window had passed. Shares from 0 to 1. */
export interface PredictionScore {
  predictor: PredictorName
  /** The end of the window that was predicted, as in {@linkcode AccessWindow}. */
  toMs: number
  /** Keys that were predicted. */
  limit: number
  /** Share of the predicted keys that were read. */
  precision: number
  /** Share of the window's reads that were for predicted keys. */
  coverage: number
}

/** How well prediction does. */
export interface PredictionStatus {
  /** The one that is used where none is named. */
  predictor: PredictorName
  /** Whole five minutes. */
  windowMs: number
  /** The end of the last window that was learned from, ms since 1970; null before the first. */
  foldedToMs: number | null
  /** Windows that were learned from. */
  windows: number
  /** How predictions of the last window did; empty before the second. */
  scores: readonly PredictionScore[]
}

/** What is remembered of past windows, and ranks keys by it. Deterministic; memory is bounded by its capacity. */
export interface PredictionModel {
  /** Length of a window, as in {@linkcode AccessWindow}. */
  readonly windowMs: number
  /** The end of the last window that was folded; null before the first. */
  readonly foldedToMs: number | null
  /** Windows folded so far. */
  readonly windows: number
  /**
   * Takes in a window that has ended, the next one in time; windows without any read are to be folded too. Learns from it how
   * well each way of predicting would have done, and fits the weights anew.
   */
  fold(window: AccessWindow): void
  /**
   * Hottest first, with what the score came from in words; equals in a fixed order.
   *
   * @param options `limit`: at most so many. `partial`: what was read since the last window that was folded
   */
  top(predictor: Exclude<PredictorName, 'onnx'>, options: { limit: number; partial?: AccessWindow }): HotKey[]
  /**
   * What is known of each key at the end of the last window, for an outside model; each key once. One object may serve for all.
   * Absent: it can't tell.
   */
  histories?(): Iterable<readonly [key: string, history: KeyHistory]>
  /** Of the last window that was folded, by way of predicting; empty before the second. */
  readonly scores: readonly PredictionScore[]
  /** Can be loaded again by the same version. Text. */
  save(): string
}

/** A model from outside that scores keys by their features (`FEATURES` of `onnx-features.ts`). */
export interface OutsideModel {
  /**
   * The scores of `rows` keys, in their order; the largest is the hottest.
   *
   * @param features all of the first key's features, then all of the second's: `rows` times the number of features
   */
  predict(features: Float32Array, rows: number): Promise<Float32Array>
  /** Gives the model's memory back. */
  close(): Promise<void>
}
