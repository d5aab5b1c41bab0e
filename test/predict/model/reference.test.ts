import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { referenceScore } from '../../../src/predict/model/reference.ts'
import { check } from '../../support/property.ts'

const HOUR = 3_600_000
const MINUTE = 60_000

describe('referenceScore', () => {
  it('is frequency times growth times bonus', () => {
    // 40 reads in 4 h: 10 an hour. 16 in the last hour, 24 in the three before it: 8 an hour. Twice as many.
    const score = referenceScore({ total: 40, recent: 16, ageMs: 4 * MINUTE }, { elapsedMs: 4 * HOUR, windowMs: HOUR })
    assertEquals(score, { score: 10 * 2 * 2, frequency: 10, growth: 1, bonus: 2 })
  })

  it('gives its bonus by the time since the last read', () => {
    const bonusAt = (ageMs: number, bonusMs?: readonly [number, number]) =>
      referenceScore(
        { total: 1, recent: 1, ageMs },
        { elapsedMs: HOUR, windowMs: HOUR, ...(bonusMs === undefined ? {} : { bonusMs }) },
      ).bonus
    const ages = [-1, 0, 5 * MINUTE - 1, 5 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, HOUR]
    assertEquals(
      ages.map((ageMs) => bonusAt(ageMs)),
      [2, 2, 2, 1.5, 1.5, 1, 1],
    )
    assertEquals(
      [9, 10, 59, 60].map((ageMs) => bonusAt(ageMs, [10, 60])),
      [2, 1.5, 1.5, 1],
    )
  })

  it('has a growth of 1 for a new key, of -1 for an idle one, and none below', () => {
    const growthOf = (total: number, recent: number, elapsedMs = 4 * HOUR) =>
      referenceScore({ total, recent, ageMs: 0 }, { elapsedMs, windowMs: HOUR }).growth
    assertEquals([growthOf(7, 7), growthOf(0, 0), growthOf(9, 0), growthOf(8, 2)], [1, 1, -1, 0])
    // In the first window nothing has a history.
    assertEquals(growthOf(9, 9, HOUR), 1)
    assertEquals(referenceScore({ total: 9, recent: 0, ageMs: 0 }, { elapsedMs: 4 * HOUR, windowMs: HOUR }).score, 0)
  })

  it('is never negative or infinite, and grows with recent reads', () => {
    const count = fc.nat(100_000)
    const property = fc.property(
      count,
      count,
      count,
      fc.integer({ min: 1, max: 24 * HOUR }),
      fc.integer({ min: 1, max: 99 }),
      (earlier, a, b, windowMs, windows) => {
        const of = (recent: number) =>
          referenceScore({ total: earlier + recent, recent, ageMs: 0 }, { elapsedMs: windows * windowMs, windowMs })
        assert(of(a).score >= 0 && Number.isFinite(of(a).score) && of(a).growth >= -1)
        if (a > b && earlier > 0) assert(of(a).score >= of(b).score)
      },
    )
    check(property, 1000)
  })

  it('counts by the hour, whatever the length of the record', () => {
    const property = fc.property(fc.nat(1000), fc.integer({ min: 1, max: 500 }), (perHour, hours) => {
      const { frequency } = referenceScore(
        { total: perHour * hours, recent: 0, ageMs: 0 },
        { elapsedMs: hours * HOUR, windowMs: HOUR / 2 },
      )
      assertAlmostEquals(frequency, perHour)
    })
    check(property)
  })
})
