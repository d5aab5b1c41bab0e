import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { heuristicScore, reasonOf } from '../../src/predict/score.ts'
import { check } from '../support/property.ts'

const HOUR = 3_600_000
const MINUTE = 60_000
const count = fc.nat(100_000)

describe('heuristicScore', () => {
  it('is frequency times growth times bonus', () => {
    // 30 reads in half an hour are 60 an hour; 20 before: half as many again; read 4 min ago.
    const score = heuristicScore({ recent: 30, historical: 20, ageMs: 4 * MINUTE }, HOUR / 2)
    assertEquals(score, { score: 60 * 1.5 * 2, frequency: 60, growth: 0.5, bonus: 2 })
  })

  it('gives its bonus by the time since the last read', () => {
    const bonusAt = (ageMs: number) => heuristicScore({ recent: 1, historical: 0, ageMs }, HOUR).bonus
    const ages = [-1, 0, 5 * MINUTE - 1, 5 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, HOUR]
    assertEquals(ages.map(bonusAt), [2, 2, 2, 1.5, 1.5, 1, 1])
  })

  it('knows no growth without a history, and none below -1', () => {
    const growthOf = (recent: number, historical: number) =>
      heuristicScore({ recent, historical, ageMs: 0 }, HOUR).growth
    assertEquals([growthOf(7, 0), growthOf(0, 0), growthOf(0, 9), growthOf(-5, 1), growthOf(9, 9)], [0, 0, -1, -1, 0])
    assertEquals(heuristicScore({ recent: 0, historical: 9, ageMs: 0 }, HOUR).score, 0)
  })

  it('grows with the reads, and with the growth, and is never negative', () => {
    const property = fc.property(
      count,
      count,
      count,
      fc.nat(2 * HOUR),
      fc.integer({ min: 1, max: 24 * HOUR }),
      (a, b, historical, ageMs, windowMs) => {
        const of = (recent: number, before: number) =>
          heuristicScore({ recent, historical: before, ageMs }, windowMs).score
        assert(of(a, historical) >= 0 && Number.isFinite(of(a, historical)))
        if (a > b) assert(of(a, historical) >= of(b, historical))
        if (historical > b && b > 0) assert(of(a, historical) <= of(a, b))
      },
    )
    check(property, 1000)
  })

  it('counts by the hour, whatever the window', () => {
    const property = fc.property(count, fc.integer({ min: 1, max: 24 }), (recent, hours) => {
      const { frequency } = heuristicScore({ recent: recent * hours, historical: 0, ageMs: HOUR }, hours * HOUR)
      assertAlmostEquals(frequency, recent)
    })
    check(property)
  })
})

describe('reasonOf', () => {
  it('tells the numbers', () => {
    const told = (recent: number, historical: number, ageMs: number) => {
      const reads = { recent, historical, ageMs }
      return reasonOf(heuristicScore(reads, HOUR), reads)
    }
    assertEquals(told(12, 8, 2 * MINUTE + 1), '12 reads/h, growth +50 %, last read 2 min ago')
    assertEquals(told(1.25, 5, 0), '1.3 reads/h, growth -75 %, last read 0 min ago')
    assertEquals(told(100, 0, HOUR), '100 reads/h, no history, last read 60 min ago')
  })
})
