import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { COLUMNS, DAMPING, HALF_LIVES, KeyTable, steps } from '../../../src/predict/model/key-table.ts'
import { check } from '../../support/property.ts'
import { streams, WINDOW_MS, windowOf } from './support.ts'

function played(capacity: number, stream: readonly Record<string, number>[]): KeyTable {
  const table = new KeyTable(capacity)
  for (const [at, reads] of stream.entries()) {
    table.fold(windowOf(at, reads))
    assert(table.size <= capacity, `${table.size} keys are remembered`)
  }
  return table
}

/** Of a key, by the definition. @param counts of each window, the last one first */
function rateOf(counts: readonly number[], halfLife: number, power = 1): number {
  const keep = 2 ** (-1 / halfLife)
  return (1 - keep) * counts.reduce((sum, count, age) => sum + (count === 0 ? 0 : count ** power) * keep ** age, 0)
}

describe('KeyTable', () => {
  it('counts what was read, by key', () => {
    const table = played(10, [{ a: 3, b: 1 }, { a: 1 }])
    const [a, b] = [table.placeOf('a') as number, table.placeOf('b') as number]
    assertEquals([table.total[a], table.last[a], table.firstMs[a], table.lastMs[a]], [4, 1, 0, 2 * WINDOW_MS - 1])
    assertEquals([table.total[b], table.last[b], table.lastMs[b]], [1, 0, WINDOW_MS - 1])
    assertEquals([table.keys, table.placeOf('c')], [['a', 'b'], undefined])
  })

  it('has rates and damped rates by the definition, for any stream', () => {
    const property = fc.property(streams, (stream) => {
      const table = played(50, stream)
      for (const [place, key] of table.keys.entries()) {
        const counts = stream.map((reads) => reads[key] ?? 0).reverse()
        for (const [at, halfLife] of HALF_LIVES.entries()) {
          const [rate, damped] = [rateOf(counts, halfLife), rateOf(counts, halfLife, DAMPING)]
          assertAlmostEquals(table.rates[at]?.[place] as number, rate, 1e-5 * (rate + 1e-3))
          assertAlmostEquals(table.damped[at]?.[place] as number, damped, 1e-5 * (damped + 1e-3))
        }
        assertEquals(
          table.total[place],
          counts.reduce((sum, count) => sum + count, 0),
        )
      }
    })
    check(property)
  })

  it('never remembers more keys than it may, and knows each by its place', () => {
    const property = fc.property(fc.integer({ min: 1, max: 20 }), streams, (capacity, stream) => {
      const table = played(capacity, stream)
      assertEquals(
        table.keys.map((key) => table.placeOf(key)),
        table.keys.map((_, place) => place),
      )
      const all = new Set(stream.flatMap((reads) => Object.keys(reads)))
      assertEquals([...all].filter((key) => table.placeOf(key) !== undefined).length, table.size)
      assertEquals(table.size === Math.min(capacity, all.size) || table.size === capacity, true)
    })
    check(property, 500)
  })

  it('lets the coldest leave: a crowd that is read once pushes out nobody who is read again and again', () => {
    const hot = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`hot:${at}`, 5]))
    const stream = Array.from({ length: 30 }, (_, window) => ({
      ...(window % 3 === 0 ? hot : {}),
      ...Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`once:${window}:${at}`, 1])),
    }))
    const table = played(100, stream)
    assertEquals(table.size, 100)
    for (const key of Object.keys(hot)) assert(table.placeOf(key) !== undefined, `${key} has left`)
  })

  it('is the same whether windows pass one by one or at once, but for the last digits', () => {
    const [a, b] = [played(5, [{ a: 7, b: 1 }]), played(5, [{ a: 7, b: 1 }])]
    for (let window = 0; window < 40; window++) a.pass(1)
    b.pass(40)
    for (const name of COLUMNS)
      for (const place of a.keys.keys()) {
        const value = b.column(name)[place] as number
        assertAlmostEquals(a.column(name)[place] as number, value, 1e-4 * value)
      }
    a.pass(1e9)
    assertEquals([...(a.rates[3] as Float32Array).subarray(0, 2)], [0, 0])
  })
})

describe('steps', () => {
  it('takes the reads of a part of a window as its rate', () => {
    const property = fc.property(fc.double({ min: 0.001, max: 5, noNaN: true }), (share) => {
      // A key that is read 6 times a window, in the part too, keeps its rate.
      for (const { keep, take } of steps(share)) assertAlmostEquals(6 * keep + 6 * share * take, 6, 1e-9)
    })
    check(property)
  })
})
