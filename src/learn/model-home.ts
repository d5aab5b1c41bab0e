import type { Commands } from '../coordination/types.ts'
import { loadPacked } from '../predict/online/model-holder.ts'
import { pack } from '../predict/online/pack.ts'
import { MAX_STATE, type ModelOptions, StateStore } from '../predict/online/state.ts'
import type { Models } from '../predict/online/work.ts'
import type { PredictionModel } from '../predict/types.ts'

/** Where the model that prediction goes by is kept. All methods throw `STORE_UNREACHABLE` and `STORE_REFUSED`. */
export interface ModelHome {
  /** Whole five minutes. */
  readonly windowMs: number
  /** Keys that a model remembers. */
  readonly capacity: number
  create(): PredictionModel
  /** Null: there is none. Its `model` is null where it can't be read. */
  load(): Promise<{ id: string; model: PredictionModel | null } | null>
  /**
   * Keeps a model. False: another one was kept in the meantime.
   *
   * @param replaced the id of the one that gives way; null: there was none
   * @throws {RangeError} if it is too large to be kept
   */
  save(model: PredictionModel, replaced: string | null): Promise<boolean>
}

/** The one in Redis, which all instances share. */
export class RedisModelHome implements ModelHome {
  readonly #of: ModelOptions
  readonly #models: Models
  readonly #states: StateStore

  constructor({ commands, models, of }: { commands: Commands; models: Models; of: ModelOptions }) {
    this.#of = of
    this.#models = models
    this.#states = new StateStore(commands)
  }

  get windowMs(): number {
    return this.#of.windowMs
  }

  get capacity(): number {
    return this.#of.capacity
  }

  create(): PredictionModel {
    return this.#models.create(this.#of)
  }

  async load(): Promise<{ id: string; model: PredictionModel | null } | null> {
    const stored = await this.#states.head(this.#of)
    if (stored.is === 'none') return null
    if (stored.is === 'broken') return { id: stored.id, model: null }
    const { id } = stored.head
    const packed = await this.#states.load(this.#of, id)
    if (packed === null) return null
    // One that can't be read gives way: whoever predicts would not use it either.
    return { id, model: await loadPacked(this.#models, packed, this.#of).catch(() => null) }
  }

  async save(model: PredictionModel, replaced: string | null): Promise<boolean> {
    const { foldedToMs, windows, scores } = model
    const state = await pack(model.save())
    if (state.length > MAX_STATE)
      throw new RangeError(
        `The model takes ${state.length} characters, at most ${MAX_STATE}: set fewer prediction.keys`,
      )
    const head = { id: crypto.randomUUID(), foldedToMs: foldedToMs as number, windows, scores: [...scores] }
    return this.#states.store(this.#of, head, state, replaced)
  }
}
