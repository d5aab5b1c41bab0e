import { isPrewarmError, PrewarmError } from '../../errors.ts'
import { FEATURE_HALF_LIVES, type KeyHistory } from '../onnx-features.ts'
import type { PredictionModel } from '../types.ts'
import { pack, unpack } from './pack.ts'
import type { ModelOptions } from './state.ts'
import {
  type Answers,
  type Folded,
  type FoldWork,
  type Models,
  type ModelWorker,
  type PlainHistories,
  type StateRef,
  type Work,
  windowOf,
} from './work.ts'

const RATES = FEATURE_HALF_LIVES.length
/** Numbers of one key in {@linkcode PlainHistories}. */
const NUMBERS = RATES + 4

/** Works on models in this thread, and holds the last one, as it is mostly asked for again. */
export class ModelHolder implements ModelWorker {
  readonly #models: Models
  readonly #pause: (() => Promise<void>) | undefined
  #held: { id: string; options: ModelOptions; model: PredictionModel } | undefined

  /** @param pause awaited before each window, where others wait for this thread */
  constructor(models: Models, pause?: () => Promise<void>) {
    this.#models = models
    this.#pause = pause
  }

  async do<W extends Work>(work: W, signal?: AbortSignal): Promise<Answers[W['kind']]> {
    return (await this.#do(work, signal)) as Answers[W['kind']]
  }

  async #do(work: Work, signal?: AbortSignal): Promise<Answers[keyof Answers]> {
    if (work.kind === 'fold') return this.#fold(work, signal)
    const model = await this.#modelOf(work)
    if (work.state !== null) this.#held = { id: work.state.id, options: work.options, model }
    if (work.kind === 'histories') return plainHistories(model)
    return model.top(work.predictor, { limit: work.limit, partial: windowOf(work.partial) })
  }

  async #fold(work: FoldWork, signal?: AbortSignal): Promise<Folded> {
    const model = await this.#modelOf(work)
    // Nobody else may be given it while it changes, nor if that fails halfway.
    this.#held = undefined
    for (const window of work.windows) {
      await this.#pause?.()
      signal?.throwIfAborted()
      model.fold(windowOf(window))
    }
    const state = await pack(model.save())
    this.#held = { id: work.id, options: work.options, model }
    const { foldedToMs, windows, scores } = model
    return { state, foldedToMs: foldedToMs as number, windows, scores: [...scores] }
  }

  async #modelOf({ options, state }: Work): Promise<PredictionModel> {
    if (state === null) return this.#models.create(options)
    const held = this.#held
    if (held?.id === state.id && held.options.capacity === options.capacity) return held.model
    return this.#load(state, options)
  }

  async #load({ id, packed }: StateRef, options: ModelOptions): Promise<PredictionModel> {
    if (packed === null) throw new PrewarmError('NOT_FOUND', `The state ${id} is not held`)
    this.#held = undefined
    return loadPacked(this.#models, packed, options)
  }
}

/** @throws {PrewarmError} `MODEL_INVALID` */
export async function loadPacked(models: Models, packed: string, options: ModelOptions): Promise<PredictionModel> {
  try {
    return models.load(await unpack(packed), options)
  } catch (error) {
    if (isPrewarmError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new PrewarmError('MODEL_INVALID', `The state of the prediction can not be read: ${why}`, { cause: error })
  }
}

function plainHistories(model: PredictionModel): PlainHistories {
  const keys: string[] = []
  const numbers: number[] = []
  for (const [key, { rates, lastWindow, total, idleWindows, ageWindows }] of model.histories?.() ?? []) {
    keys.push(key)
    for (let at = 0; at < RATES; at++) numbers.push(rates[at] ?? 0)
    numbers.push(lastWindow, total, idleWindows, ageWindows)
  }
  return { keys, values: Float64Array.from(numbers) }
}

/** The histories that were sent: one object serves for all. */
export function* historiesOf({ keys, values }: PlainHistories): Generator<readonly [string, KeyHistory]> {
  for (const [index, key] of keys.entries()) {
    const of = values.subarray(index * NUMBERS, (index + 1) * NUMBERS)
    const [lastWindow = 0, total = 0, idleWindows = 0, ageWindows = 1] = of.subarray(RATES)
    yield [key, { rates: of.subarray(0, RATES), lastWindow, total, idleWindows, ageWindows }]
  }
}
