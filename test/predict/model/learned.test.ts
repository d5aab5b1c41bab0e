import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Choice, coverages, LEVELS, levelOf } from '../../../src/predict/model/choice.ts'
import { createModel, type Model } from '../../../src/predict/model/index.ts'
import { check } from '../../support/property.ts'
import { poisson, seeded, streams, WINDOW_MS, windowOf } from './support.ts'

const model = () => createModel({ windowMs: WINDOW_MS, capacity: 5000 })

/** Share of the window's reads that the first `limit` keys have. */
function coverageOf(of: Model, way: 'learned' | 'decayed' | 'heuristic', limit: number, reads: Record<string, number>) {
  const covered = of.top(way, { limit }).reduce((sum, { key }) => sum + (reads[key] ?? 0), 0)
  return covered / Object.values(reads).reduce((sum, count) => sum + count, 0)
}

/** Keys with rates of their own, which all change places every `every` windows. */
function traffic(keys: number, windows: number, every: number, seed: number): Record<string, number>[] {
  const random = seeded(seed)
  let rates = new Float64Array(keys)
  return Array.from({ length: windows }, (_, at) => {
    if (at % every === 0) rates = rates.map(() => 4 / (1 + random() * 100))
    return Object.fromEntries(Array.from(rates, (rate, key) => [`k:${key}`, poisson(rate, random)]))
  })
}

/** The half-life that `decayed` names. */
function halfLifeOf(of: Model): number {
  const [, halfLife] = /^half-life (\S+) window/.exec(of.top('decayed', { limit: 30 })[0]?.reason ?? '') ?? []
  return Number(halfLife)
}

describe('learned', () => {
  it('finds the half-life that fits: long where nothing changes, short where all does', () => {
    const found = [1000, 2].map((every) => {
      const of = model()
      for (const [at, reads] of traffic(300, 60, every, 7).entries()) of.fold(windowOf(at, reads))
      return halfLifeOf(of)
    })
    assertEquals(found, [32, 0.5])
  })

  it('covers what the best half-life does, and more than the heuristic', () => {
    for (const every of [1000, 10]) {
      const of = model()
      const covered = { learned: 0, decayed: 0, heuristic: 0 }
      for (const [at, reads] of traffic(300, 80, every, 3).entries()) {
        if (at >= 30)
          for (const way of ['learned', 'decayed', 'heuristic'] as const) covered[way] += coverageOf(of, way, 30, reads)
        of.fold(windowOf(at, reads))
      }
      assert(covered.learned > covered.decayed * 0.97, JSON.stringify({ every, ...covered }))
      assert(covered.learned > covered.heuristic * 1.05, JSON.stringify({ every, ...covered }))
    }
  })

  it('says what it expects, by what, and what was read', () => {
    const of = model()
    for (const [at, reads] of traffic(300, 40, 1000, 5).entries()) of.fold(windowOf(at, reads))
    const { score, reason } = of.top('learned', { limit: 30 })[0] as { score: number; reason: string }
    const told = /^fit: (\S+) expected a window \(\S+\/\S+\/\S+\/\S+ of its rates\), (\d+) in the last window$/.exec(
      reason,
    )
    assert(told !== null, reason)
    assert(Math.abs(Number(told[1]) - score) <= 0.06 * score, `${score}: ${reason}`)
    // Rates lie between 0.04 and 4 reads a window.
    assert(score > 2.5 && score < 6, reason)
  })

  it('knows nothing of the future: what it answers was settled before', () => {
    const property = fc.property(streams, streams, streams, (past, one, other) => {
      const first = model()
      const second = model()
      for (const [at, reads] of past.entries()) {
        first.fold(windowOf(at, reads))
        second.fold(windowOf(at, reads))
      }
      const answers = first.top('learned', { limit: 20 })
      for (const [at, reads] of one.entries()) first.fold(windowOf(past.length + at, reads))
      assertEquals(second.top('learned', { limit: 20 }), answers)
      for (const [at, reads] of other.entries()) second.fold(windowOf(past.length + at, reads))
      // And the same past gives the same, whatever other models have seen.
      const third = model()
      for (const [at, reads] of [...past, ...one].entries()) third.fold(windowOf(at, reads))
      assertEquals(third.top('learned', { limit: 20 }), first.top('learned', { limit: 20 }))
    })
    check(property, 50)
  })
})

describe('Choice', () => {
  it('takes the way that covered most, at the level that is nearest', () => {
    const choice = new Choice(3)
    const shares = [0.5, 0.6, 0.2].map((share) => LEVELS.map((level) => (level >= 1000 ? share : 1 - share)))
    choice.add(shares)
    assertEquals([choice.best(1000, [0, 1, 2]), choice.best(5000, [0, 1, 2]), choice.best(12, [0, 1, 2])], [1, 1, 2])
    assertEquals(choice.best(1000, [0, 2]), 0)
    assertEquals(new Choice(3).best(10, [2, 1, 0]), 2)
  })

  it('stays with the first unless another one is better by the margin', () => {
    const choice = new Choice(2)
    choice.add([LEVELS.map(() => 0.5), LEVELS.map(() => 0.52)])
    assertEquals([choice.best(100, [0, 1], 0.05), choice.best(100, [0, 1], 0.03)], [0, 1])
  })

  it('forgets: the last windows weigh most', () => {
    const choice = new Choice(2)
    for (let window = 0; window < 50; window++) choice.add([LEVELS.map(() => 0.5), LEVELS.map(() => 0.1)])
    for (let window = 0; window < 10; window++) choice.add([LEVELS.map(() => 0.1), LEVELS.map(() => 0.5)])
    assertEquals(choice.best(100, [0, 1]), 1)
  })

  it('has levels by ratio', () => {
    assertEquals(
      [0, 1, 16, 19, 1000, 1e9].map((limit) => LEVELS[levelOf(limit)]),
      [10, 10, 10, 30, 1000, 10_000],
    )
    const reads = Float64Array.from({ length: 50 }, (_, place) => 50 - place)
    const shares = coverages(Uint32Array.from(reads.keys()), reads, 1275)
    assertEquals(shares.slice(0, 3), [455 / 1275, 1065 / 1275, 1])
  })
})
