import type { HotKey } from '../../coordination/types.ts'
import type { KeyHistory } from '../onnx-features.ts'
import type { AccessWindow, PredictionModel, PredictionScore } from '../types.ts'
import { Choice, coverages, LEVELS } from './choice.ts'
import { Fits } from './fit.ts'
import { HALF_LIVES, KeyTable } from './key-table.ts'
import { rank } from './rank.ts'
import { BONUS_MS } from './reference.ts'
import { loadState, type ModelState, saveState } from './saved.ts'
import { type Moment, type View, viewDuring, viewOf } from './view.ts'
import { ARMS, armOf, type Learned, type ModelPredictor, scoresOf, scoringOf, WAYS } from './ways.ts'

export interface ModelOptions {
  /** Length of a window, ms; for a source without times in requests. */
  windowMs: number
  /** Keys that are remembered; of more, those are forgotten that are read least. About 270 bytes each, its name and all. @default 50_000 */
  capacity?: number
  /** Keys for which {@linkcode PredictionModel.scores} says how predictions did. @default 1000 */
  scoredKeys?: number
  /**
   * The heuristic's bonuses: 2.0 for a key that was read less than the first of them ago, 1.5 for the second.
   * @default [300_000, 1_800_000]
   */
  bonusMs?: readonly [number, number]
}

/** Counts of past windows, and what was learned from them. Deterministic. */
export class Model implements PredictionModel {
  readonly windowMs: number
  readonly #scoredKeys: number
  readonly #table: KeyTable
  readonly #learned: Learned
  #startMs = 0
  #foldedToMs: number | null = null
  #windows = 0
  #scores: readonly PredictionScore[] = []

  /** @throws {RangeError} */
  constructor({ windowMs, capacity = 50_000, scoredKeys = 1000, bonusMs = BONUS_MS }: ModelOptions) {
    const atLeast = (name: string, value: number, least: number) => {
      if (!(value >= least) || value === Number.POSITIVE_INFINITY)
        throw new RangeError(`Cannot create a model: ${name} must be >= ${least}, current value is ${value}`)
    }
    atLeast('windowMs', windowMs, 1)
    atLeast('capacity', capacity, 1)
    atLeast('scoredKeys', scoredKeys, 1)
    for (const ms of bonusMs) atLeast('bonusMs', ms, 0)
    this.windowMs = windowMs
    this.#scoredKeys = Math.floor(scoredKeys)
    this.#table = new KeyTable(Math.floor(capacity))
    this.#learned = { fits: new Fits(), choice: new Choice(ARMS), bonusMs: [bonusMs[0], bonusMs[1]] }
  }

  get foldedToMs(): number | null {
    return this.#foldedToMs
  }

  get windows(): number {
    return this.#windows
  }

  /** Keys that are remembered. */
  get keys(): number {
    return this.#table.size
  }

  get scores(): readonly PredictionScore[] {
    return this.#scores
  }

  /** @throws {RangeError} for a window that begins before the last one's end, or has no length */
  fold(window: AccessWindow): void {
    const { fromMs, toMs } = window
    if (!(toMs > fromMs))
      throw new RangeError(`Cannot fold a window: toMs must be > fromMs, ${fromMs}, current value is ${toMs}`)
    if (this.#foldedToMs === null) this.#startMs = fromMs
    else {
      if (fromMs < this.#foldedToMs)
        throw new RangeError(
          `Cannot fold a window: fromMs must be >= the end of the last one, ${this.#foldedToMs}, current value is ${fromMs}`,
        )
      this.#pass(Math.round((fromMs - this.#foldedToMs) / this.windowMs))
    }
    this.#scores = []
    if (window.reads > 0 && window.keys.size > 0) {
      if (this.#foldedToMs !== null) this.#learn(viewOf(this.#table, this.#moment(fromMs)), window)
      this.#table.fold(window)
    } else if (this.#foldedToMs !== null) this.#table.pass(1)
    this.#windows++
    this.#foldedToMs = toMs
  }

  top(predictor: ModelPredictor, { limit, partial }: { limit: number; partial?: AccessWindow }): HotKey[] {
    const moment = this.#moment(this.#foldedToMs ?? partial?.fromMs ?? 0)
    const view = partial === undefined ? viewOf(this.#table, moment) : viewDuring(this.#table, moment, partial)
    const { scores, reason } = scoringOf(predictor, view, this.#learned, limit)
    const places = rank(scores, Math.floor(limit))
    return Array.from(places, (place) => ({
      key: view.keys[place] as string,
      score: scores[place] as number,
      reason: reason(place),
    }))
  }

  /** What a model from outside is told of each key. One object serves for all: read it before the next. */
  *histories(): IterableIterator<readonly [key: string, history: KeyHistory]> {
    const { keys, rates, last, total, lastMs, firstMs } = this.#table
    const toMs = this.#foldedToMs ?? 0
    const of = new Float64Array(HALF_LIVES.length)
    const history = { rates: of, lastWindow: 0, total: 0, idleWindows: 0, ageWindows: 1 }
    for (const [place, key] of keys.entries()) {
      for (const [at, list] of rates.entries()) of[at] = list[place] as number
      history.lastWindow = last[place] as number
      history.total = total[place] as number
      history.idleWindows = Math.max(0, (toMs - (lastMs[place] as number)) / this.windowMs)
      history.ageWindows = Math.max(1, Math.round((toMs - (firstMs[place] as number)) / this.windowMs))
      yield [key, history]
    }
  }

  save(): string {
    return saveState({
      windowMs: this.windowMs,
      startMs: this.#startMs,
      foldedToMs: this.#foldedToMs,
      windows: this.#windows,
      scores: this.#scores,
      fit: this.#learned.fits.save(),
      choice: this.#learned.choice.save(),
      table: this.#table,
    })
  }

  /** @throws {PrewarmError} `MODEL_INVALID` for what was not saved by this version, or with windows of another length */
  static load(text: string, options: ModelOptions): Model {
    const model = new Model(options)
    model.#restore(loadState(text, model.windowMs))
    return model
  }

  #restore({ startMs, foldedToMs, windows, scores, fit, choice, fill }: ModelState): void {
    this.#startMs = startMs
    this.#foldedToMs = foldedToMs
    this.#windows = windows
    this.#scores = scores
    this.#learned.fits.restore(fit)
    this.#learned.choice.restore(choice)
    fill(this.#table)
  }

  #moment(foldedToMs: number): Moment {
    return { startMs: this.#foldedToMs === null ? foldedToMs : this.#startMs, foldedToMs, windowMs: this.windowMs }
  }

  #pass(windows: number): void {
    if (windows < 1) return
    this.#table.pass(windows)
    this.#windows += windows
  }

  /** Compares what each way would have said of this window with what was read in it, then learns from it. */
  #learn(view: View, window: AccessWindow): void {
    const reads = new Float64Array(view.size)
    for (const [key, count] of window.keys) {
      const place = this.#table.placeOf(key)
      if (place !== undefined) reads[place] = count.reads
    }
    const most = Math.max(LEVELS.at(-1) as number, this.#scoredKeys)
    const ranked = Array.from({ length: ARMS }, (_, arm) => rank(scoresOf(arm, view, this.#learned.fits), most))
    this.#scores = WAYS.map((way) => {
      const isArm = way === 'learned' || way === 'decayed'
      const places = isArm
        ? (ranked[armOf(way, this.#learned, this.#scoredKeys)] as Uint32Array)
        : rank(scoringOf(way, view, this.#learned, this.#scoredKeys).scores, this.#scoredKeys)
      return scoreOf(way, places.subarray(0, this.#scoredKeys), reads, window)
    })
    this.#learned.choice.add(ranked.map((places) => coverages(places, reads, window.reads)))
    this.#learned.fits.learn(view, reads)
  }
}

function scoreOf(
  predictor: ModelPredictor,
  places: Uint32Array,
  reads: Float64Array,
  window: AccessWindow,
): PredictionScore {
  let covered = 0
  let hits = 0
  for (const place of places) {
    covered += reads[place] as number
    if ((reads[place] as number) > 0) hits++
  }
  return {
    predictor,
    toMs: window.toMs,
    limit: places.length,
    precision: places.length === 0 ? 0 : hits / places.length,
    coverage: covered / window.reads,
  }
}
