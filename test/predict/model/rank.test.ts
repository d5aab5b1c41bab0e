import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { kthLargest, rank } from '../../../src/predict/model/rank.ts'
import { check } from '../../support/property.ts'

/** Few different ones, so that many are equal. */
const scores = fc.array(fc.oneof(fc.integer({ min: -1, max: 5 }), fc.double({ min: 0, max: 9, noNaN: true })), {
  maxLength: 120,
})

describe('rank', () => {
  it('gives the highest first, and those of 0 or less not at all', () => {
    assertEquals([...rank(Float64Array.of(3, 0, 9, -1, 5), 10)], [2, 4, 0])
    assertEquals([...rank(Float64Array.of(3, 0, 9, -1, 5), 2)], [2, 4])
    assertEquals([...rank(Float64Array.of(3, 0, 9), 0)], [])
    assertEquals([...rank(new Float64Array(), 5)], [])
  })

  it('has the lower place first of equals', () => {
    assertEquals([...rank(Float64Array.of(1, 1, 2, 1), 3)], [2, 0, 1])
  })

  it('is the beginning of all of them sorted', () => {
    const property = fc.property(scores, fc.integer({ min: 0, max: 130 }), (values, limit) => {
      const sorted = values
        .map((score, place) => ({ score, place }))
        .filter(({ score }) => score > 0)
        .sort((a, b) => b.score - a.score || a.place - b.place)
      const expected = sorted.slice(0, limit).map(({ place }) => place)
      assertEquals([...rank(Float64Array.from(values), limit)], expected)
    })
    check(property, 1000)
  })
})

describe('kthLargest', () => {
  it('finds it among any numbers', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 90 }),
      fc.nat(),
      (values, at) => {
        const k = (at % values.length) + 1
        assertEquals(kthLargest(Float64Array.from(values), k), values.sort((a, b) => b - a)[k - 1])
      },
    )
    check(property, 1000)
  })
})
