import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { isDueEarly, LoadTimes } from '../../src/cache/early-refresh.ts'

/** Numbers from 0 to below 1, the same in every run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const TRIES = 200_000
const shareOf = (leftMs: number, deltaMs: number, beta: number) => {
  const random = randomOf(7)
  let due = 0
  for (let at = 0; at < TRIES; at++) if (isDueEarly(leftMs, deltaMs, beta, random())) due++
  return due / TRIES
}

describe('isDueEarly', () => {
  it('is true at the rate exp(-left / (delta * beta))', () => {
    for (const [left, delta, beta] of [
      [10, 10, 1],
      [30, 10, 1],
      [30, 10, 3],
      [5, 100, 1],
      [100, 20, 0.5],
    ] as const) {
      const expected = Math.exp(-left / (delta * beta))
      const sigma = Math.sqrt((expected * (1 - expected)) / TRIES)
      const found = shareOf(left, delta, beta)
      assert(
        Math.abs(found - expected) < 5 * sigma + 1e-9,
        `left ${left}, delta ${delta}, beta ${beta}: ${found}, ${expected}`,
      )
    }
  })

  it('comes sooner the less is left, the longer a load takes, and the larger beta is', () => {
    assert(shareOf(10, 10, 1) > shareOf(20, 10, 1))
    assert(shareOf(20, 20, 1) > shareOf(20, 10, 1))
    assert(shareOf(20, 10, 2) > shareOf(20, 10, 1))
  })

  it('is always true once nothing is left', () => {
    assertEquals(shareOf(0, 10, 1), 1)
    assertEquals(shareOf(-5, 10, 1), 1)
  })

  it('is never true without a known load time, without beta, or for what never expires', () => {
    assertEquals([shareOf(1, 0, 1), shareOf(1, 10, 0), shareOf(Number.POSITIVE_INFINITY, 10, 1)], [0, 0, 0])
    assertEquals(isDueEarly(1, Number.NaN, 1, 0.5), false)
    assertEquals(isDueEarly(1000, 10, 1, 0), false)
  })
})

describe('LoadTimes', () => {
  it('follows the last loads of each keyspace', () => {
    const times = new LoadTimes()
    assertEquals(times.of('a'), 0)
    times.add('a', 100)
    times.add(null, 7)
    assertEquals([times.of('a'), times.of(null), times.of('b')], [100, 7, 0])
    for (let at = 0; at < 50; at++) times.add('a', 10)
    assert(times.of('a') < 10.1 && times.of('a') >= 10)
  })
})
