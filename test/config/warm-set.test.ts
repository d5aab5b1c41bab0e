import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { checkConfig } from '../../src/config/schema.ts'
import { settleWarmSet } from '../../src/config/warm-set.ts'
import { type Documented, documentedFields } from './documented.ts'

const { prediction, memory, snapshot } = settleWarmSet({ snapshot: { to: 'hot.ndjson' } })

const DEFAULTS: Record<string, unknown[]> = {
  'PredictionDefinition.predictor': [prediction.predictor],
  'PredictionDefinition.window': [prediction.windowMs],
  'PredictionDefinition.keys': [prediction.keys],
  'MemoryDefinition.guard': [memory.guard],
  'MemoryDefinition.reserve': [memory.reserve],
  'SnapshotDefinition.every': [snapshot?.everyMs],
  'SnapshotDefinition.keys': [snapshot?.keys],
  'SnapshotDefinition.load': [snapshot?.load],
  'SnapshotDefinition.timeout': [snapshot?.timeoutMs],
}

const documented = documentedFields('src/config/warm-set.ts')
const check = (part: unknown) => checkConfig({ tasks: {}, ...(part as object) })

describe('what a configuration says of what to warm', () => {
  for (const [path, expected] of Object.entries(DEFAULTS))
    it(`documented default of ${path} is the code's`, () => assertEquals(documented.get(path)?.defaults, expected))

  it('documented bounds are the code’s', () => {
    const places: Record<string, (value: number) => unknown> = {
      'PredictionDefinition.keys': (keys) => ({ prediction: { keys } }),
      'MemoryDefinition.reserve': (reserve) => ({ memory: { reserve } }),
      'SnapshotDefinition.keys': (keys) => ({ snapshot: { to: 'a', keys } }),
    }
    for (const [path, given] of Object.entries(places)) {
      const [min, max] = (documented.get(path) as Documented).bounds as [number, number]
      for (const fine of [min, max]) check(given(fine))
      for (const bad of [min - 0.01, max + 1]) assertThrows(() => check(given(bad)), Error, String(bad))
    }
  })

  it('settles what is given', () => {
    const file: Partial<ConfigDefinition> = {
      prediction: { predictor: 'decayed', window: '1h', keys: 500 },
      memory: { guard: false, reserve: 0.2 },
      snapshot: { to: 'redis:hot', every: '1m', keys: 7, load: true, timeout: '9s' },
    }
    const { settings } = resolveConfig({ tasks: {}, ...file }, {}, 1)
    assertEquals(settings.prediction, { predictor: 'decayed', windowMs: 3_600_000, keys: 500, model: undefined })
    assertEquals(settings.memory, { guard: false, reserve: 0.2 })
    assertEquals(settings.snapshot, { to: 'redis:hot', everyMs: 60_000, keys: 7, load: true, timeoutMs: 9000 })
  })

  it('names what is wrong', () => {
    assertThrows(
      () => check({ prediction: { predictor: 'best' } }),
      Error,
      "prediction.predictor is 'best', expected one of",
    )
    assertThrows(() => check({ prediction: { predictor: 'onnx' } }), Error, 'prediction.model')
    assertThrows(() => check({ prediction: { window: '1s' } }), Error, "prediction.window is '1s'")
    assertThrows(() => check({ snapshot: { to: 'redis:' } }), Error, "snapshot.to is 'redis:', expected a file, or")
    assertThrows(() => check({ snapshot: {} }), Error, 'snapshot.to')
    assertThrows(() => check({ memory: { reserv: 0 } }), Error, "did you mean 'reserve'?")
  })
})
