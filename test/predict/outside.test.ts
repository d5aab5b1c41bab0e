import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals, assertRejects } from '@std/assert'
import { FEATURE_HALF_LIVES, FEATURES, type KeyHistory, writeFeatures } from '../../src/predict/onnx-features.ts'
import { rankOutside } from '../../src/predict/outside.ts'
import type { OutsideModel } from '../../src/predict/types.ts'

const HISTORY: KeyHistory = { rates: [1, 2, 3, 4], lastWindow: 5, total: 12, idleWindows: 0.5, ageWindows: 2 }

/** A model whose score is one of the features. */
class OneFeature implements OutsideModel {
  readonly rows: number[] = []
  readonly #column: number

  constructor(name: (typeof FEATURES)[number]) {
    this.#column = FEATURES.indexOf(name)
  }

  async predict(features: Float32Array, rows: number): Promise<Float32Array> {
    assertEquals(features.length, rows * FEATURES.length)
    this.rows.push(rows)
    return Float32Array.from({ length: rows }, (_, row) => features[row * FEATURES.length + this.#column] as number)
  }

  async close(): Promise<void> {}
}

describe('writeFeatures', () => {
  it('writes a row in the order of the names', () => {
    const features = new Float32Array(3 * FEATURES.length)
    writeFeatures(features, 1, HISTORY)
    const row = Object.fromEntries(FEATURES.map((name, column) => [name, features[FEATURES.length + column]]))
    assertEquals(row, {
      rate_0_5: 1,
      rate_2: 2,
      rate_8: 3,
      rate_32: 4,
      last_window: 5,
      mean: 6,
      idle_windows: 0.5,
      age_windows: 2,
    })
    assert([...features.subarray(0, 8), ...features.subarray(16)].every((value) => value === 0))
  })

  it('has a name for each half-life, and keeps to its bounds', () => {
    assertEquals(
      FEATURES.slice(0, 4),
      FEATURE_HALF_LIVES.map((halfLife) => `rate_${String(halfLife).replace('.', '_')}`),
    )
    const features = new Float32Array(FEATURES.length)
    writeFeatures(features, 0, { ...HISTORY, idleWindows: -2, ageWindows: 0 })
    assertEquals([...features.subarray(5)], [12, 0, 1])
  })
})

describe('rankOutside', () => {
  it('is the largest scores, equals by key, with a reason', async () => {
    const keys: [string, number][] = [
      ['b', 3],
      ['low', 0.5],
      ['a', 3],
      ['top', 7.1256],
    ]
    const candidates = keys.map(([key, lastWindow]): [string, KeyHistory] => [key, { ...HISTORY, lastWindow }])
    const ranked = await rankOutside(new OneFeature('last_window'), candidates, 3)
    assertEquals(
      ranked.map(({ key }) => key),
      ['top', 'a', 'b'],
    )
    assertAlmostEquals(ranked[0]?.score as number, 7.1256, 1e-5)
    assertEquals(
      ranked[0]?.reason,
      "the model's score 7.13, 7.13 reads in the last window, last read 0.5 windows before its end",
    )
  })

  it('scores many keys in parts, and finds the best of all', async () => {
    const model = new OneFeature('rate_8')
    const history = { rates: [0, 0, 0, 0], lastWindow: 0, total: 1, idleWindows: 0, ageWindows: 1 }
    function* candidates(): Generator<[string, KeyHistory]> {
      // The same object for all of them, each key another one's place: 7919 is a prime.
      for (let index = 0; index < 30_000; index++) {
        history.rates[2] = (index * 7919) % 30_000
        yield [`key:${history.rates[2]}`, history]
      }
    }
    const ranked = await rankOutside(model, candidates(), 100)
    assertEquals(model.rows, [8192, 8192, 8192, 5424])
    assertEquals(
      ranked.map(({ key }) => key),
      Array.from({ length: 100 }, (_, rank) => `key:${29_999 - rank}`),
    )
  })

  it('is empty without candidates or a limit, and fails as the model does', async () => {
    const model = new OneFeature('mean')
    assertEquals(await rankOutside(model, [], 5), [])
    assertEquals(model.rows, [])
    assertEquals(await rankOutside(model, [['a', HISTORY]], 0), [])
    const broken: OutsideModel = { predict: () => Promise.reject(new Error('no')), close: async () => {} }
    await assertRejects(() => rankOutside(broken, [['a', HISTORY]], 5), Error, 'no')
  })
})
