import { PrewarmError } from '../../src/errors.ts'
import type { ModelOptions } from '../../src/predict/online/state.ts'
import type { Models } from '../../src/predict/online/work.ts'
import type { AccessWindow, PredictionModel, PredictionScore, PredictorName } from '../../src/predict/types.ts'

interface State {
  version: 1
  foldedToMs: number | null
  windows: number
  /** Ends of the windows that were folded, and their reads. */
  log: [toMs: number, reads: number][]
  rates: [key: string, rate: number][]
  scores: PredictionScore[]
}

/** A {@linkcode PredictionModel} that is easily reckoned: reads count half with each window, and it notes what it folds. */
export class FakeModel implements PredictionModel {
  readonly windowMs: number
  readonly capacity: number
  #state: State = { version: 1, foldedToMs: null, windows: 0, log: [], rates: [], scores: [] }

  constructor({ windowMs, capacity }: ModelOptions) {
    this.windowMs = windowMs
    this.capacity = capacity
  }

  static load(text: string, options: ModelOptions): FakeModel {
    const state = JSON.parse(text) as State
    if (state.version !== 1) throw new PrewarmError('MODEL_INVALID', `The state's version is ${state.version}`)
    const model = new FakeModel(options)
    model.#state = state
    return model
  }

  get foldedToMs(): number | null {
    return this.#state.foldedToMs
  }

  get windows(): number {
    return this.#state.windows
  }

  get log(): readonly [toMs: number, reads: number][] {
    return this.#state.log
  }

  get scores(): readonly PredictionScore[] {
    return this.#state.scores
  }

  fold({ fromMs, toMs, reads, keys }: AccessWindow): void {
    const { foldedToMs } = this.#state
    if (foldedToMs !== null && fromMs < foldedToMs) throw new RangeError(`a window of ${fromMs} after ${foldedToMs}`)
    const rates = new Map(this.#state.rates.map(([key, rate]) => [key, rate / 2]))
    for (const [key, count] of keys) rates.set(key, (rates.get(key) ?? 0) + count.reads)
    const hottest = [...rates].sort((a, b) => b[1] - a[1]).slice(0, this.capacity)
    this.#state = {
      version: 1,
      foldedToMs: toMs,
      windows: this.#state.windows + 1,
      log: [...this.#state.log, [toMs, reads]],
      rates: hottest,
      scores:
        this.#state.windows === 0 ? [] : [{ predictor: 'learned', toMs, limit: 1000, precision: 0.5, coverage: 0.75 }],
    }
  }

  top(predictor: Exclude<PredictorName, 'onnx'>, { limit, partial }: { limit: number; partial?: AccessWindow }) {
    const rates = new Map(this.#state.rates)
    for (const [key, { reads }] of partial?.keys ?? []) rates.set(key, (rates.get(key) ?? 0) + reads)
    return [...rates]
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .slice(0, limit)
      .map(([key, score]) => ({ key, score, reason: `${predictor} ${score}` }))
  }

  *histories() {
    for (const [key, rate] of this.#state.rates)
      yield [
        key,
        { rates: [rate, rate, rate, rate], lastWindow: rate, total: rate, idleWindows: 0, ageWindows: 1 },
      ] as const
  }

  save(): string {
    return JSON.stringify(this.#state)
  }
}

export const fakeModels: Models = {
  create: (options) => new FakeModel(options),
  load: (text, options) => FakeModel.load(text, options),
}
