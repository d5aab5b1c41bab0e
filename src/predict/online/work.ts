import type { HotKey } from '../../coordination/types.ts'
import type { AccessWindow, PredictionModel, PredictionScore, PredictorName } from '../types.ts'
import type { ModelOptions } from './state.ts'

/** Where models come from. */
export interface Models {
  create(options: ModelOptions): PredictionModel
  /** @throws {PrewarmError} `MODEL_INVALID` for what no model of this version has saved */
  load(text: string, options: ModelOptions): PredictionModel
}

/** An {@linkcode AccessWindow} as it crosses threads: lists are cheaper than an object for each key. */
export interface PlainWindow {
  fromMs: number
  toMs: number
  reads: number
  keys: string[]
  counts: Float64Array
  lastMs: Float64Array
}

/** A state in Redis, by its id. `packed` null: whoever is asked may hold it already. */
export interface StateRef {
  id: string
  packed: string | null
}

interface OnState {
  options: ModelOptions
  /** Null: there is none yet. */
  state: StateRef | null
}

/** Folds windows, one after the other in time, into a state; `id` is that of the new one. */
export interface FoldWork extends OnState {
  kind: 'fold'
  id: string
  windows: PlainWindow[]
}

/** Asks for the hottest keys. */
export interface TopWork extends OnState {
  kind: 'top'
  predictor: Exclude<PredictorName, 'onnx'>
  limit: number
  /** What was read since the state's last window. */
  partial: PlainWindow
}

/** Asks what is known of each key, for a model from outside. */
export interface HistoriesWork extends OnState {
  kind: 'histories'
}

export type Work = FoldWork | TopWork | HistoriesWork

export interface Folded {
  /** Packed. */
  state: string
  foldedToMs: number
  windows: number
  /** How predictions of the last window did. */
  scores: PredictionScore[]
}

/** Of each key: its rates by half-life, reads in the last window, reads in all, idle windows, windows since it was first seen. */
export interface PlainHistories {
  keys: string[]
  /** As many for each key. */
  values: Float64Array
}

export interface Answers {
  fold: Folded
  top: HotKey[]
  histories: PlainHistories
}

/**
 * Does work on models, here or in another thread.
 *
 * @throws {PrewarmError} `MODEL_INVALID` for a state that can't be loaded, `NOT_FOUND` for one that is not held and was not
 * given, `STOPPED`
 */
export interface ModelWorker {
  do<W extends Work>(work: W, signal?: AbortSignal): Promise<Answers[W['kind']]>
}

export function plainOf({ fromMs, toMs, reads, keys }: AccessWindow): PlainWindow {
  const counts = new Float64Array(keys.size)
  const lastMs = new Float64Array(keys.size)
  let at = 0
  for (const count of keys.values()) {
    counts[at] = count.reads
    lastMs[at++] = count.lastMs
  }
  return { fromMs, toMs, reads, keys: [...keys.keys()], counts, lastMs }
}

export function windowOf({ fromMs, toMs, reads, keys, counts, lastMs }: PlainWindow): AccessWindow {
  const all = keys.map((key, at) => [key, { reads: counts[at] as number, lastMs: lastMs[at] as number }] as const)
  return { fromMs, toMs, reads, keys: new Map(all) }
}
