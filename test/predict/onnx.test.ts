import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { isPrewarmError, type PrewarmError } from '../../src/errors.ts'
import { loadOnnxModel } from '../../src/predict/onnx.ts'
import { FEATURES, type KeyHistory } from '../../src/predict/onnx-features.ts'
import { rankOutside } from '../../src/predict/outside.ts'
import type { OutsideModel } from '../../src/predict/types.ts'
import { importFile } from '../../src/runtime/common.ts'
import { type LinearModel, linearModel } from '../support/onnx.ts'

const WEIGHTS = [1, 2, 3, 4, 5, 6, -7, 8]

describe('loadOnnxModel', () => {
  let home: string
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'prewarm-onnx-'))
  })
  after(() => rm(home, { recursive: true, force: true }))

  let files = 0
  /** The file of a model; WEIGHTS unless told otherwise. */
  async function fileOf(model: Partial<LinearModel> | Uint8Array): Promise<string> {
    const file = join(home, `${++files}.onnx`)
    await writeFile(file, model instanceof Uint8Array ? model : linearModel({ weights: WEIGHTS, ...model }))
    return file
  }
  async function using<T>(model: Partial<LinearModel>, use: (loaded: OutsideModel) => Promise<T>): Promise<T> {
    const loaded = await loadOnnxModel(await fileOf(model), { importFile })
    return use(loaded).finally(() => loaded.close())
  }
  async function refusal(model: Partial<LinearModel> | Uint8Array): Promise<string> {
    const file = await fileOf(model)
    const error = await assertRejects(() => loadOnnxModel(file, { importFile }))
    assert(isPrewarmError(error) && error.code === 'MODEL_INVALID', String(error))
    return error.message.replace(file, 'FILE')
  }

  // The first one of this process: later ones find the WebAssembly compiled.
  it('fetches nothing, and leaves the program its Worker', async () => {
    const asked: unknown[] = []
    const before = Object.getOwnPropertyDescriptor(globalThis, 'Worker')
    const { fetch } = globalThis
    globalThis.fetch = Object.assign((from: unknown) => Promise.reject(asked.push(from)), fetch)
    try {
      assertEquals([...(await using({}, (model) => model.predict(new Float32Array(8).fill(1), 1)))], [22])
    } finally {
      globalThis.fetch = fetch
    }
    assertEquals(asked, [])
    assertEquals(Object.getOwnPropertyDescriptor(globalThis, 'Worker'), before)
    const worker = new Worker(new URL('../support/echo-worker.ts', import.meta.url), { type: 'module' })
    worker.terminate()
  })

  it('scores rows in their order', async () => {
    const features = Float32Array.from({ length: 24 }, (_, index) => (index % 5) - 1.5)
    const expected = [0, 1, 2].map((row) =>
      WEIGHTS.reduce((sum, weight, column) => sum + weight * (features[row * 8 + column] as number), 0.5),
    )
    const scores = await using({ bias: 0.5 }, (model) => model.predict(features, 3))
    assertEquals([...scores], expected)
    assertEquals(new Set(expected).size, 3)
  })

  it('takes one score a row with and without a second dimension, and sizes that the file leaves open', async () => {
    const ones = new Float32Array(16).fill(1)
    const shapes: Partial<LinearModel>[] = [
      {},
      { ending: 'Squeeze', outputShape: ['n'] },
      { inputShape: ['', 8] },
      { inputShape: ['n', 'width'], outputShape: ['n', 'm'] },
    ]
    for (const shape of shapes) assertEquals([...(await using(shape, (model) => model.predict(ones, 2)))], [22, 22])
  })

  it('answers requests made at the same time, none of no rows, and none after its end', async () => {
    const file = await fileOf({})
    const model = await loadOnnxModel(file, { importFile })
    const asked = [1, 2, 3].map((value) => model.predict(new Float32Array(8).fill(value), 1))
    const closing = model.close()
    assertEquals(
      (await Promise.all(asked)).map(([score]) => score),
      [22, 44, 66],
    )
    await Promise.all([closing, model.close()])
    const error = await assertRejects(() => model.predict(new Float32Array(8), 1))
    assertEquals((error as PrewarmError).code, 'STOPPED')
    assertEquals((await using({}, (other) => other.predict(new Float32Array(0), 0))).length, 0)
  })

  it('refuses features of another length', () =>
    using({}, async (model) => {
      await assertRejects(
        () => model.predict(new Float32Array(15), 2),
        RangeError,
        'features must hold 2 times 8 numbers, got 15',
      )
    }))

  const takes = 'expected one input, features: float32 [rows, 8], rows not fixed'
  const gives = 'expected an output scores: float32 [rows] or [rows, 1]'
  const refused: [string, Partial<LinearModel>, string][] = [
    ['another width', { weights: [1, 2, 3] }, `the model FILE takes features: float32 [rows, 3]: ${takes}`],
    ['another name', { inputName: 'X' }, `the model FILE takes X: float32 [rows, 8]: ${takes}`],
    [
      'other elements',
      { input: 'float64', output: 'float64' },
      `the model FILE takes features: float64 [rows, 8]: ${takes}`,
    ],
    [
      'a fixed number of rows',
      { inputShape: [4, 8], outputShape: [4, 1] },
      `the model FILE takes features: float32 [4, 8]: ${takes}`,
    ],
    [
      'one more input',
      { extraInput: 'more' },
      `the model FILE takes features: float32 [rows, 8] and more: float32 [1]: ${takes}`,
    ],
    ['another output', { outputName: 'y' }, `the model FILE gives y: float32 [rows, 1]: ${gives}`],
    [
      'more than a score for a key',
      { outputs: 2, outputShape: ['rows', 2] },
      `the model FILE gives scores: float32 [rows, 2]: ${gives}`,
    ],
    [
      'more than a score that only shows when it is loaded',
      { outputs: 2, outputShape: ['a', 'b'] },
      `the model FILE gives scores: float32 [a, 2]: ${gives}`,
    ],
    [
      'scores in one row',
      { ending: 'Transpose', outputShape: ['a', 'b'] },
      'the model FILE gave scores as float32 [1, 2] for 2 keys: expected float32 [2] or [2, 1]',
    ],
    [
      'one score for all',
      { ending: 'ReduceSum', outputShape: ['a', 'b'] },
      'the model FILE gave scores as float32 [1, 1] for 2 keys: expected float32 [2] or [2, 1]',
    ],
    [
      'no number',
      { ending: 'Log', bias: -1e6 },
      'the model FILE gave the score NaN for key 1 of 2: expected finite numbers',
    ],
    [
      'no finite number',
      { weights: [0, 0, 0, 0, 1, 0, 0, 0], ending: 'Log' },
      'the model FILE gave the score -Infinity for key 1 of 2: expected finite numbers',
    ],
    [
      'scores that depend on other keys',
      { ending: 'Softmax' },
      'the model FILE gave the same key 1 alone and 0 beside another: expected a score that does not depend on other keys',
    ],
  ]
  for (const [name, model, message] of refused)
    it(`refuses ${name}`, async () => {
      assertEquals(await refusal(model), message)
    })

  it('refuses a width that only shows when it runs', async () => {
    const message = await refusal({ weights: [1, 2, 3], inputShape: ['rows', 'width'] })
    assert(message.startsWith('the model FILE failed for 2 keys (') && message.includes('Dimension mismatch'), message)
    assert(message.endsWith('): expected one that takes float32 [2, 8]'), message)
  })

  it('refuses what is no model, naming the reason of ONNX Runtime', async () => {
    for (const bytes of [
      new Uint8Array(0),
      new TextEncoder().encode('a,b\n1,2\n'),
      linearModel({ weights: WEIGHTS }).slice(0, 90),
    ]) {
      const message = await refusal(bytes)
      assert(message.startsWith("the model FILE can't be run by onnxruntime-web ("), message)
      assert(message.endsWith(': expected an ONNX file at prediction.model'), message)
    }
  })

  it('refuses a file that is not there, is no file, or too large, before it reads it', async () => {
    const never = () => Promise.reject(new Error('imported all the same'))
    const messageFor = async (file: string) => {
      const error = await assertRejects(() => loadOnnxModel(file, { importFile: never }))
      assertEquals((error as PrewarmError).code, 'MODEL_INVALID')
      return (error as PrewarmError).message.replace(home, 'HOME')
    }
    const missing = await messageFor(join(home, 'none.onnx'))
    assert(missing.startsWith("the model HOME/none.onnx can't be read (") && missing.includes('ENOENT'), missing)
    assertEquals(await messageFor(home), 'the model HOME is no file: expected an ONNX file at prediction.model')
    const large = join(home, 'large.onnx')
    await writeFile(large, '')
    await truncate(large, 64 * 1024 * 1024 + 1)
    assertEquals(
      await messageFor(large),
      'the model HOME/large.onnx has 67108865 bytes: expected at most 67108864; leave out what does not score',
    )
  })

  it('says how to get onnxruntime-web where it is missing', async () => {
    const file = await fileOf({})
    const missing = () => Promise.reject(new Error("Cannot find package 'onnxruntime-web'"))
    const error = await assertRejects(() => loadOnnxModel(file, { importFile: missing }))
    assertEquals((error as PrewarmError).toJSON(), {
      code: 'MODEL_INVALID',
      message:
        `the model ${file} needs the package onnxruntime-web (Cannot find package 'onnxruntime-web'): ` +
        'install it with `bun add onnxruntime-web`, or choose another prediction.predictor',
    })
  })

  it('ranks keys as the same sum by hand does', async () => {
    const histories: [string, KeyHistory][] = ['a', 'b', 'c', 'd', 'e'].map((key, index) => [
      key,
      {
        rates: [index, 8 - index, index % 2, 1],
        lastWindow: index % 3,
        total: 12,
        idleWindows: (index * 2) % 5,
        ageWindows: 4,
      },
    ])
    const byHand = histories.map(([key, { rates, lastWindow, total, idleWindows, ageWindows }]): [string, number] => {
      const values = [...Array.from(rates), lastWindow, total / ageWindows, idleWindows, ageWindows]
      assertEquals(values.length, FEATURES.length)
      return [key, values.reduce((sum, value, column) => sum + value * (WEIGHTS[column] as number), 0)]
    })
    byHand.sort(([, one], [, other]) => other - one)
    const ranked = await using({}, (model) => rankOutside(model, histories, 4))
    assertEquals(
      ranked.map(({ key, score }) => [key, score]),
      byHand.slice(0, 4),
    )
  })
})
