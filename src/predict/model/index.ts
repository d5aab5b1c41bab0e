import { Model, type ModelOptions } from './model.ts'

export { HALF_LIVES } from './key-table.ts'
export type { Model, ModelOptions } from './model.ts'
export type { ModelPredictor } from './ways.ts'

/** A model that knows nothing yet. @throws {RangeError} for options out of their bounds */
export function createModel(options: ModelOptions): Model {
  return new Model(options)
}

/**
 * What {@linkcode Model.save} gave, as it was. With a smaller `capacity` than then the hottest keys are kept.
 *
 * @throws {PrewarmError} `MODEL_INVALID` for what was not saved by this version, or with windows of another length
 * @throws {RangeError} for options out of their bounds
 */
export function loadModel(text: string, options: ModelOptions): Model {
  return Model.load(text, options)
}
