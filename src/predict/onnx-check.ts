import { PrewarmError } from '../errors.ts'
import { FEATURES, writeFeatures } from './onnx-features.ts'

/** The names of a model's input and output. */
export const INPUT = 'features'
export const OUTPUT = 'scores'

/** What a model's file says of an input or output. Sizes that are fixed are numbers. */
export interface TensorInfo {
  name: string
  isTensor: boolean
  type?: string
  shape?: readonly (number | string)[]
}

/** What a model has given. */
export interface TensorData {
  type: string
  dims: readonly number[]
  data: unknown
}

/** A size that the file leaves open and gives no name: ONNX Runtime says so by the largest number of 32 bits. */
const OPEN = 0xffff_ffff

/**
 * Looks at what a model says of itself.
 *
 * @throws {PrewarmError} `MODEL_INVALID` unless it takes `features`, float32 [rows, 8], alone, and gives `scores`, float32
 *   [rows] or [rows, 1]
 */
export function checkSignature(file: string, inputs: readonly TensorInfo[], outputs: readonly TensorInfo[]): void {
  const [input] = inputs
  const width = input?.shape?.[1]
  if (
    inputs.length !== 1 ||
    input?.name !== INPUT ||
    input.type !== 'float32' ||
    input.shape?.length !== 2 ||
    !isOpen(input.shape[0]) ||
    !(isOpen(width) || width === FEATURES.length)
  )
    refuse(file, `takes ${listOf(inputs)}`, `one input, ${INPUT}: float32 [rows, ${FEATURES.length}], rows not fixed`)
  const output = outputs.find(({ name }) => name === OUTPUT)
  const rest = output?.shape?.slice(1) ?? []
  if (output?.type !== 'float32' || output.shape?.length === 0 || rest.length > 1 || !rest.every(isOneOrOpen))
    refuse(file, `gives ${listOf(outputs)}`, `an output ${OUTPUT}: float32 [rows] or [rows, 1]`)
}

/**
 * The scores in what a model has given for `rows` keys.
 *
 * @throws {PrewarmError} `MODEL_INVALID` if these are not as many finite numbers
 */
export function scoresIn(file: string, output: TensorData | undefined, rows: number): Float32Array {
  const { type, dims = [], data } = output ?? {}
  const fits = dims[0] === rows && (dims.length === 1 || (dims.length === 2 && dims[1] === 1))
  if (!fits || !(data instanceof Float32Array) || data.length !== rows)
    refuse(
      file,
      `gave ${OUTPUT} as ${type ?? 'nothing'} [${dims.join(', ')}] for ${rows} keys`,
      `float32 [${rows}] or [${rows}, 1]`,
    )
  const row = data.findIndex((score) => !Number.isFinite(score))
  if (row >= 0) refuse(file, `gave the score ${data[row]} for key ${row + 1} of ${rows}`, 'finite numbers')
  return data
}

/**
 * Features as they may occur, for a trial: a key that was read once, long ago, and one that is read all the time.
 */
export function trialFeatures(): Float32Array {
  const features = new Float32Array(2 * FEATURES.length)
  writeFeatures(features, 0, { rates: [0, 0, 0, 1e-6], lastWindow: 0, total: 1, idleWindows: 640, ageWindows: 640 })
  writeFeatures(features, 1, { rates: [90, 80, 70, 60], lastWindow: 95, total: 800, idleWindows: 0.01, ageWindows: 10 })
  return features
}

/**
 * Compares what a model gave for two keys together with what it gave for the first one alone.
 *
 * @throws {PrewarmError} `MODEL_INVALID` if a key's score depends on the other keys: these come in parts
 */
export function checkAlone(file: string, together: Float32Array, alone: Float32Array): void {
  const [first = 0] = together
  const [score = 0] = alone
  if (Math.abs(first - score) > 1e-3 * Math.max(1, Math.abs(first)))
    refuse(
      file,
      `gave the same key ${score} alone and ${first} beside another`,
      'a score that does not depend on other keys',
    )
}

/** @throws {PrewarmError} `MODEL_INVALID` */
export function refuse(file: string, found: string, expected: string, cause?: unknown): never {
  throw new PrewarmError('MODEL_INVALID', `the model ${file} ${found}: expected ${expected}`, { cause })
}

function isOpen(size: number | string | undefined): boolean {
  return typeof size === 'string' || size === OPEN
}

function isOneOrOpen(size: number | string): boolean {
  return size === 1 || isOpen(size)
}

/** `features float32 [rows, 8]` for each. */
function listOf(tensors: readonly TensorInfo[]): string {
  const all = tensors.map(({ name, isTensor, type, shape = [] }) =>
    isTensor
      ? `${name}: ${type} [${shape.map((size) => (size === OPEN ? '?' : size)).join(', ')}]`
      : `${name}: no tensor`,
  )
  return all.join(' and ') || 'nothing'
}
