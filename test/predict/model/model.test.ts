import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { createModel, type Model, type ModelOptions, type ModelPredictor } from '../../../src/predict/model/index.ts'
import { WAYS } from '../../../src/predict/model/ways.ts'
import { check } from '../../support/property.ts'
import { streams, WINDOW_MS, windowOf } from './support.ts'

function modelOf(stream: readonly Record<string, number>[], options: Partial<ModelOptions> = {}): Model {
  const model = createModel({ windowMs: WINDOW_MS, capacity: 1000, ...options })
  for (const [at, reads] of stream.entries()) model.fold(windowOf(at, reads))
  return model
}

const keysOf = (model: Model, predictor: ModelPredictor, limit = 10) =>
  model.top(predictor, { limit }).map(({ key }) => key)

describe('Model', () => {
  it('ranks by each way, and says why', () => {
    const model = modelOf([
      { a: 50, b: 10 },
      { a: 1, b: 10 },
      { b: 3, c: 2 },
    ])
    assertEquals(keysOf(model, 'frequency'), ['a', 'b', 'c'])
    assertEquals(keysOf(model, 'recency'), ['b', 'c', 'a'])
    assertEquals(keysOf(model, 'heuristic'), ['b', 'c'])
    const reasonOf = (predictor: ModelPredictor, key: string) =>
      model.top(predictor, { limit: 10 }).find((hot) => hot.key === key)?.reason
    assertEquals(reasonOf('frequency', 'a'), '51 reads in 3 min')
    assertEquals(reasonOf('recency', 'a'), 'last read 60 s ago')
    assertEquals(reasonOf('heuristic', 'b'), '460 reads/h, growth -70 %, last read 0 s ago')
    assertEquals(reasonOf('heuristic', 'c'), '40 reads/h, no history, last read 0 s ago')
    assert(/^half-life .* windows?: .* a window, 3 in the last window$/.test(reasonOf('decayed', 'b') as string))
  })

  it('gives the reference reading of the heuristic', () => {
    const model = modelOf([{ a: 30 }, { a: 10 }, { a: 5 }, { a: 10, b: 4 }])
    // a: 55 in 4 min, 10 a min now and 15 before: growth -1/3; b: new, so growth 1. Both read just now: bonus 2.
    const [a, b] = model.top('heuristic', { limit: 2 })
    assertEquals([a?.key, Math.round(a?.score as number)], ['a', Math.round(55 * 15 * (2 / 3) * 2)])
    assertEquals([b?.key, Math.round(b?.score as number)], ['b', 4 * 15 * 2 * 2])
    const later = modelOf([{ a: 1 }], { bonusMs: [0, 0] }).top('heuristic', { limit: 1 })
    assertEquals(later[0]?.score, 60 * 2)
  })

  it('says how each way would have done, once a window has passed', () => {
    const model = modelOf([{ a: 3, b: 1 }], { scoredKeys: 1 })
    assertEquals(model.scores, [])
    model.fold(windowOf(1, { a: 1, b: 3 }))
    const of = (predictor: string) => model.scores.find((score) => score.predictor === predictor)
    const first = { toMs: 2 * WINDOW_MS, limit: 1 }
    assertEquals(of('frequency'), { predictor: 'frequency', ...first, precision: 1, coverage: 0.25 })
    assertEquals(
      model.scores.map(({ predictor }) => predictor),
      [...WAYS],
    )
    model.fold(windowOf(2, { c: 1 }))
    assertEquals(of('learned'), { predictor: 'learned', toMs: 3 * WINDOW_MS, limit: 1, precision: 0, coverage: 0 })
    // Nothing was asked for: nothing to be right about.
    model.fold(windowOf(3, {}))
    assertEquals([model.scores, model.windows, model.foldedToMs], [[], 4, 4 * WINDOW_MS])
  })

  it('scores what it would have answered before the window', () => {
    const property = fc.property(streams, (stream) => {
      const model = createModel({ windowMs: WINDOW_MS, scoredKeys: 5, capacity: 20 })
      for (const [at, reads] of stream.entries()) {
        const window = windowOf(at, reads)
        const before = new Map(WAYS.map((way) => [way, keysOf(model, way, 5)]))
        model.fold(window)
        for (const { predictor, precision, coverage, limit } of model.scores) {
          const keys = before.get(predictor as ModelPredictor) as string[]
          const read = keys.filter((key) => window.keys.has(key))
          const covered = read.reduce((sum, key) => sum + (reads[key] as number), 0)
          assertEquals([limit, coverage], [keys.length, covered / window.reads])
          assertEquals(precision, keys.length === 0 ? 0 : read.length / keys.length)
        }
      }
    })
    check(property)
  })

  it('lets a gap pass as windows without reads', () => {
    const gap = modelOf([{ a: 5, b: 2 }, { a: 1 }])
    const empty = modelOf([{ a: 5, b: 2 }, { a: 1 }, {}, {}])
    gap.fold(windowOf(4, { b: 1 }))
    empty.fold(windowOf(4, { b: 1 }))
    assertEquals([gap.windows, gap.foldedToMs], [empty.windows, empty.foldedToMs])
    for (const way of WAYS) {
      assertEquals(keysOf(gap, way), keysOf(empty, way))
      const round = (model: Model) => model.top(way, { limit: 9 }).map(({ score }) => score.toPrecision(5))
      assertEquals(round(gap), round(empty))
    }
  })

  it('refuses windows that go back, and options out of bounds', () => {
    const model = modelOf([{ a: 1 }, { a: 1 }])
    const again = assertThrows(() => model.fold(windowOf(1, { a: 1 })), RangeError)
    assertEquals(
      (again as Error).message,
      `Cannot fold a window: fromMs must be >= the end of the last one, ${2 * WINDOW_MS}, current value is ${WINDOW_MS}`,
    )
    assertThrows(() => model.fold({ ...windowOf(3, { a: 1 }), toMs: 3 * WINDOW_MS }), RangeError, 'toMs')
    assertEquals([model.windows, keysOf(model, 'frequency')], [2, ['a']])
    for (const bad of [
      { windowMs: 0 },
      { windowMs: Number.NaN },
      { capacity: 0 },
      { scoredKeys: 0 },
      { bonusMs: [-1, 5] as const },
    ])
      assertThrows(() => createModel({ windowMs: WINDOW_MS, ...bad }), RangeError, Object.keys(bad)[0])
  })

  it('remembers no more keys than its capacity, whatever is read', () => {
    const property = fc.property(fc.integer({ min: 1, max: 15 }), streams, (capacity, stream) => {
      const model = modelOf(stream, { capacity })
      assert(model.keys <= capacity)
      for (const way of WAYS) assert(model.top(way, { limit: 1000 }).length <= capacity)
    })
    check(property)
  })

  it('orders equals by who came first, and gives no key twice', () => {
    const property = fc.property(streams, fc.integer({ min: 0, max: 50 }), (stream, limit) => {
      const model = modelOf(stream)
      const places = new Map(Array.from(model.histories(), ([key], place) => [key, place]))
      const placeOf = (key: string) => places.get(key) as number
      for (const way of WAYS) {
        const hot = model.top(way, { limit })
        assert(hot.length <= limit)
        assertEquals(new Set(hot.map(({ key }) => key)).size, hot.length)
        for (const [at, { key, score }] of hot.entries()) {
          const next = hot[at + 1]
          assert(score > 0 && Number.isFinite(score))
          if (next !== undefined)
            assert(score > next.score || (score === next.score && placeOf(key) < placeOf(next.key)))
        }
      }
    })
    check(property)
  })

  it('tells an outside model what it knows of each key', () => {
    const model = modelOf([{ a: 4 }, {}, { a: 2, b: 1 }])
    const told = Array.from(model.histories(), ([key, { rates, ...history }]) => ({ key, ...history, rate: rates[3] }))
    const idleWindows = 1 / WINDOW_MS
    const [a, b] = told
    assertEquals({ ...a, rate: 0 }, { key: 'a', lastWindow: 2, total: 6, idleWindows, ageWindows: 3, rate: 0 })
    assertEquals({ ...b, rate: 0 }, { key: 'b', lastWindow: 1, total: 1, idleWindows, ageWindows: 1, rate: 0 })
    const keep = 2 ** (-1 / 32)
    assertEquals(a?.rate?.toPrecision(5), ((1 - keep) * (2 + 4 * keep ** 2)).toPrecision(5))
  })
})

describe('Model in the middle of a window', () => {
  const half = (reads: Record<string, number>, at: number) => {
    const window = windowOf(at, reads, at * WINDOW_MS + 10)
    return { ...window, toMs: window.fromMs + WINDOW_MS / 2 }
  }

  it('knows keys that were never read before, and leaves no trace', () => {
    const model = modelOf([{ a: 10 }, { a: 10 }])
    const before = model.save()
    for (const way of WAYS) {
      const keys = model.top(way, { limit: 5, partial: half({ b: 100 }, 2) }).map(({ key }) => key)
      assert(keys.includes('b') && keys.includes('a'), `${way} gives ${keys}`)
    }
    assertEquals(model.top('frequency', { limit: 1, partial: half({ b: 100 }, 2) })[0]?.key, 'b')
    assertEquals(model.save(), before)
  })

  it('is at the end of a window what it is after folding it', () => {
    const property = fc.property(
      streams,
      fc.dictionary(fc.constantFrom('k:1', 'k:2', 'x'), fc.integer({ min: 1, max: 9 })),
      (stream, last) => {
        const [folded, open] = [modelOf(stream), modelOf(stream)]
        const window = windowOf(stream.length, last)
        const during = (way: ModelPredictor) => open.top(way, { limit: 100, partial: window })
        const wanted = new Map(WAYS.map((way) => [way, during(way)]))
        folded.fold(window)
        for (const way of ['heuristic', 'frequency', 'recency'] as const) {
          const round = (hot: { key: string; score: number }[] | undefined) =>
            Object.fromEntries((hot ?? []).map(({ key, score }) => [key, score.toPrecision(5)]))
          assertEquals(round(wanted.get(way)), round(folded.top(way, { limit: 100 })))
        }
      },
    )
    check(property)
  })

  it('takes a key that was new in the last window for new just after that window, too', () => {
    const model = modelOf([{ old: 10 }, { old: 10 }, { old: 10, lately: 3 }])
    const window = windowOf(3, { old: 1 })
    const partial = { ...window, toMs: window.fromMs + WINDOW_MS / 200 }
    const hot = model.top('heuristic', { limit: 2, partial })
    assertEquals(
      hot.map(({ key }) => key),
      ['old', 'lately'],
    )
    assert(hot[1]?.reason.includes('no history'), hot[1]?.reason)
  })

  it('answers from what was just read where nothing was folded yet', () => {
    const model = createModel({ windowMs: WINDOW_MS })
    assertEquals(
      WAYS.map((way) => model.top(way, { limit: 5 })),
      WAYS.map(() => []),
    )
    for (const way of WAYS)
      assertEquals(model.top(way, { limit: 1, partial: half({ a: 2, b: 1 }, 5) })[0]?.key, 'a', way)
  })
})
