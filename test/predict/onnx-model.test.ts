import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { assertAlmostEquals, assertEquals } from '@std/assert'
import { createModel, HALF_LIVES } from '../../src/predict/model/index.ts'
import { loadOnnxModel } from '../../src/predict/onnx.ts'
import { FEATURE_HALF_LIVES, FEATURES } from '../../src/predict/onnx-features.ts'
import { rankOutside } from '../../src/predict/outside.ts'
import { importFile } from '../../src/runtime/common.ts'
import { linearModel } from '../support/onnx.ts'

const WINDOW_MS = 60_000
/** Reads of each key by window, the oldest first; in a window each key is read last so many ms before its end. */
const READS: Record<string, { windows: number[]; agoMs: number }> = {
  steady: { windows: [5, 5, 5, 5], agoMs: 1000 },
  rises: { windows: [0, 0, 3, 9], agoMs: 0 },
  fades: { windows: [40, 10, 2, 0], agoMs: 30_000 },
  once: { windows: [0, 1, 0, 0], agoMs: 15_000 },
  new: { windows: [0, 0, 0, 7], agoMs: 500 },
}
const WEIGHTS = [0.4, -0.3, 1.1, 2, 0.05, 0.7, -0.2, 0.15]

/** The features as their docstring has them, and not as they are computed. */
function featuresOf({ windows, agoMs }: { windows: number[]; agoMs: number }): number[] {
  const latestFirst = windows.toReversed()
  const rates = FEATURE_HALF_LIVES.map((halfLife) => {
    const sum = latestFirst.reduce((all, reads, age) => all + reads * 2 ** (-age / halfLife), 0)
    return (1 - 2 ** (-1 / halfLife)) * sum
  })
  const age = windows.length - windows.findIndex((reads) => reads > 0)
  const total = windows.reduce((sum, reads) => sum + reads, 0)
  const idle = latestFirst.findIndex((reads) => reads > 0) + agoMs / WINDOW_MS
  return [...rates, latestFirst[0] as number, total / age, idle, age]
}

describe('a model from outside over what was learned', () => {
  it('is told the rates that are kept', () => assertEquals<readonly number[]>(FEATURE_HALF_LIVES, HALF_LIVES))

  it('gets each feature as it is documented, and ranks as the sum by hand', async () => {
    const learned = createModel({ windowMs: WINDOW_MS })
    for (let window = 0; window < 4; window++) {
      const toMs = (window + 1) * WINDOW_MS
      const read = Object.entries(READS).filter(([, { windows }]) => (windows[window] as number) > 0)
      const keys = new Map(
        read.map(([key, { windows, agoMs }]) => [key, { reads: windows[window] as number, lastMs: toMs - agoMs }]),
      )
      const reads = [...keys.values()].reduce((sum, count) => sum + count.reads, 0)
      learned.fold({ fromMs: toMs - WINDOW_MS, toMs, reads, keys })
    }
    const seen: Record<string, number[]> = {}
    const noting = {
      predict: async (features: Float32Array, rows: number) => {
        for (let row = 0; row < rows; row++)
          seen[row] = [...features.subarray(row * FEATURES.length, (row + 1) * FEATURES.length)]
        return new Float32Array(rows)
      },
      close: async () => {},
    }
    const histories = () => learned.histories?.() ?? []
    const names = [...histories()].map(([key]) => key)
    await rankOutside(noting, histories(), 10)
    assertEquals(names.toSorted(), Object.keys(READS).sort())
    for (const [row, name] of names.entries())
      for (const [column, value] of featuresOf(READS[name] as (typeof READS)[string]).entries())
        assertAlmostEquals(seen[row]?.[column] as number, value, 1e-4, `${name}: ${FEATURES[column]}`)

    const home = await mkdtemp(join(tmpdir(), 'prewarm-onnx-'))
    try {
      const file = join(home, 'linear.onnx')
      await writeFile(file, linearModel({ weights: WEIGHTS, bias: 3 }))
      const model = await loadOnnxModel(file, { importFile })
      const ranked = await rankOutside(model, histories(), 4)
      await model.close()
      const byHand = Object.entries(READS)
        .map(([key, reads]): [string, number] => [
          key,
          featuresOf(reads).reduce((sum, value, at) => sum + value * (WEIGHTS[at] as number), 3),
        ])
        .sort(([, one], [, other]) => other - one)
      assertEquals(
        ranked.map(({ key }) => key),
        byHand.slice(0, 4).map(([key]) => key),
      )
      for (const [at, { score }] of ranked.entries()) assertAlmostEquals(score, byHand[at]?.[1] as number, 1e-3)
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  })
})
