import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { PrewarmError, toFailure } from '../errors.ts'
import {
  checkAlone,
  checkSignature,
  INPUT,
  OUTPUT,
  refuse,
  scoresIn,
  type TensorData,
  type TensorInfo,
  trialFeatures,
} from './onnx-check.ts'
import { FEATURES } from './onnx-features.ts'
import type { OutsideModel } from './types.ts'

/** A larger file is refused. */
const MAX_MODEL_BYTES = 64 * 1024 * 1024
const FIX = 'an ONNX file at prediction.model'

/** What is used of `onnxruntime-web`, in words of our own: who has not installed it must not need its types. */
interface OnnxRuntime {
  env: { wasm: { numThreads?: number } }
  InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> }
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => TensorData
}

interface Session {
  readonly inputMetadata: readonly TensorInfo[]
  readonly outputMetadata: readonly TensorInfo[]
  run(
    feeds: Record<string, TensorData>,
    fetches: readonly string[],
    options: object,
  ): Promise<Record<string, TensorData>>
  release(): Promise<void>
}

export interface OnnxModelOptions {
  /** Imports a JavaScript file by its path; only called for `onnxruntime-web`. */
  importFile(file: string): Promise<unknown>
}

/**
 * Loads an ONNX model that scores keys by their {@linkcode FEATURES}, and tries it out. It runs on one thread, in
 * WebAssembly, and blocks the thread that it is called on while it scores; nothing is fetched from elsewhere.
 *
 * @param file at most 64 MiB. Its input `features` is float32 [rows, 8], its output `scores` float32 [rows] or [rows, 1]
 * @throws {PrewarmError} `MODEL_INVALID` if the file can't be read, is no such model, or `onnxruntime-web` is not installed
 */
export async function loadOnnxModel(file: string, { importFile }: OnnxModelOptions): Promise<OutsideModel> {
  const bytes = await readModel(file)
  const { runtime, session } = await keepingWorker(async () => {
    const runtime = await loadRuntime(file, importFile)
    const options = { executionProviders: ['wasm'], logSeverityLevel: 4 }
    const session = await runtime.InferenceSession.create(bytes, options).catch((error: unknown) =>
      refuse(file, `can't be run by onnxruntime-web (${reasonOf(error)})`, FIX, error),
    )
    return { runtime, session }
  })
  const model = new OnnxModel(file, runtime, session)
  try {
    checkSignature(file, session.inputMetadata, session.outputMetadata)
    const features = trialFeatures()
    const together = await model.predict(features, 2)
    checkAlone(file, together, await model.predict(features.subarray(0, FEATURES.length), 1))
    return model
  } catch (error) {
    await model.close()
    throw error
  }
}

class OnnxModel implements OutsideModel {
  readonly #file: string
  readonly #runtime: OnnxRuntime
  readonly #session: Session
  /** One after the other: a session is not asked twice at the same time. */
  #last: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(file: string, runtime: OnnxRuntime, session: Session) {
    this.#file = file
    this.#runtime = runtime
    this.#session = session
  }

  /**
   * @throws {PrewarmError} `MODEL_INVALID` if the model fails or gives no finite numbers; `STOPPED` after `close()`
   * @throws {RangeError} if `features` has another length than that many rows
   */
  async predict(features: Float32Array, rows: number): Promise<Float32Array> {
    if (features.length !== rows * FEATURES.length)
      throw new RangeError(`features must hold ${rows} times ${FEATURES.length} numbers, got ${features.length}`)
    if (this.#closing !== undefined) throw new PrewarmError('STOPPED', `the model ${this.#file} is closed`)
    if (rows === 0) return new Float32Array(0)
    const scores = this.#last.then(() => this.#run(features, rows))
    this.#last = scores.catch(() => {})
    return scores
  }

  close(): Promise<void> {
    this.#closing ??= this.#last.then(() => this.#session.release())
    return this.#closing
  }

  async #run(features: Float32Array, rows: number): Promise<Float32Array> {
    const input = new this.#runtime.Tensor('float32', features, [rows, FEATURES.length])
    const output = await this.#session
      .run({ [INPUT]: input }, [OUTPUT], { logSeverityLevel: 4 })
      .catch((error: unknown) =>
        refuse(
          this.#file,
          `failed for ${rows} keys (${reasonOf(error)})`,
          `one that takes float32 [${rows}, 8]`,
          error,
        ),
      )
    return scoresIn(this.#file, output[OUTPUT], rows)
  }
}

async function readModel(file: string): Promise<Uint8Array> {
  try {
    const about = await stat(file)
    if (!about.isFile()) refuse(file, 'is no file', FIX)
    if (about.size > MAX_MODEL_BYTES)
      refuse(file, `has ${about.size} bytes`, `at most ${MAX_MODEL_BYTES}; leave out what does not score`)
    return await readFile(file)
  } catch (error) {
    if (error instanceof PrewarmError) throw error
    return refuse(file, `can't be read (${reasonOf(error)})`, FIX, error)
  }
}

let keeping: Promise<unknown> = Promise.resolve()

/**
 * Where it finds itself in Node, or in Bun, `onnxruntime-web` puts Node's `Worker` into the place of the Web Worker when it
 * begins, for the whole program, whose workers then start no more. Here it can not. One call after the other.
 */
function keepingWorker<T>(work: () => Promise<T>): Promise<T> {
  const done = keeping.then(async () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'Worker')
    const { Worker } = globalThis
    Object.defineProperty(globalThis, 'Worker', { configurable: true, get: () => Worker, set() {} })
    try {
      return await work()
    } finally {
      if (before === undefined) Reflect.deleteProperty(globalThis, 'Worker')
      else Object.defineProperty(globalThis, 'Worker', before)
    }
  })
  keeping = done.catch(() => {})
  return done
}

/** `onnxruntime-web` as it is for Node: it reads its WebAssembly from its own folder. */
async function loadRuntime(file: string, importFile: OnnxModelOptions['importFile']): Promise<OnnxRuntime> {
  try {
    const runtime = (await importFile(fileURLToPath(import.meta.resolve('onnxruntime-web')))) as OnnxRuntime
    runtime.env.wasm.numThreads = 1
    return runtime
  } catch (error) {
    throw new PrewarmError(
      'MODEL_INVALID',
      `the model ${file} needs the package onnxruntime-web (${reasonOf(error)}): install it with \`bun add onnxruntime-web\`, ` +
        'or choose another prediction.predictor',
      { cause: error },
    )
  }
}

function reasonOf(error: unknown): string {
  return toFailure(error).message
}
