import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Moments } from '../../../src/predict/model/least-squares.ts'
import { check } from '../../support/property.ts'

const FEATURES = 3
const row = fc.tuple(
  fc.array(fc.integer({ min: 0, max: 20 }), { minLength: FEATURES, maxLength: FEATURES }),
  fc.integer({ min: -5, max: 40 }),
)

function momentsOf(rows: readonly (readonly [number[], number])[]): Moments {
  const moments = new Moments(FEATURES)
  for (const [x, target] of rows) moments.add(Float64Array.from(x), target, 1)
  return moments
}

function errorOf(rows: readonly (readonly [number[], number])[], weights: ArrayLike<number>): number {
  return rows.reduce((sum, [x, target]) => {
    const fitted = x.reduce((all, value, at) => all + value * (weights[at] as number), 0)
    return sum + (target - fitted) ** 2
  }, 0)
}

describe('Moments', () => {
  it('finds the weights that a target was made by', () => {
    const rows = Array.from({ length: 50 }, (_, at): [number[], number] => {
      const x = [at % 7, at % 5, (at * at) % 11]
      return [x, 0.5 * (x[0] as number) + 2 * (x[2] as number)]
    })
    const [a, b, c] = momentsOf(rows).solve() as unknown as [number, number, number]
    assertAlmostEquals(a, 0.5, 1e-6)
    assertAlmostEquals(b, 0, 1e-6)
    assertAlmostEquals(c, 2, 1e-6)
  })

  it('gives no weight below 0, and none to a feature that was always 0', () => {
    const rows: [number[], number][] = [
      [[1, 2, 0], 1],
      [[2, 1, 0], 5],
      [[3, 5, 0], 2],
    ]
    const weights = momentsOf(rows).solve()
    assert(weights.every((weight) => weight >= 0))
    assertEquals(weights[2], 0)
    assertEquals([...new Moments(FEATURES).solve()], [0, 0, 0])
  })

  it('comes as close to the target as weights that are not negative can', () => {
    const moves = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: FEATURES, maxLength: FEATURES })
    const property = fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), moves, (rows, move) => {
      const weights = momentsOf(rows).solve()
      assert(weights.every((weight) => weight >= 0 && Number.isFinite(weight)))
      const other = move.map((step, at) => Math.max(0, (weights[at] as number) + step))
      const best = errorOf(rows, weights)
      assert(best <= errorOf(rows, other) * (1 + 1e-6) + 1e-6, `${[...weights]} err ${best}`)
    })
    check(property, 500)
  })

  it('forgets what has faded', () => {
    const moments = momentsOf([[[1, 0, 0], 1]])
    for (let window = 0; window < 100; window++) moments.fade(0.5)
    moments.add(Float64Array.of(1, 0, 0), 7, 1)
    assertAlmostEquals(moments.solve()[0] as number, 7, 1e-9)
  })
})
