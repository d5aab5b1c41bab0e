import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { accessesOf, counterBeyond } from '../../src/learn/lfu.ts'
import { check } from '../support/property.ts'

/** Redis' own rule, drawn by chance. */
function countUp(accesses: number, logFactor: number, random: () => number): number {
  let counter = 5
  for (let n = 0; n < accesses && counter < 255; n++) if (random() < 1 / ((counter - 5) * logFactor + 1)) counter++
  return counter
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('an LFU counter', () => {
  it('stands for no access up to 5, for one at 6, and for what the next steps take', () => {
    assertEquals(
      [0, 4, 5, 6, 7, 8, 9].map((counter) => accessesOf(counter, 10)),
      [0, 0, 0, 1, 12, 33, 64],
    )
    assertEquals(accessesOf(15, 0), 10)
  })

  it('is as Redis’ own table says: 142 after 100,000 hits with a factor of 10, 255 after a million', () => {
    const accesses = accessesOf(142, 10)
    assert(accesses > 85_000 && accesses < 115_000, `${accesses}`)
    assertEquals(accessesOf(255, 10), accessesOf(300, 10))
  })

  it('stands on average for the accesses that brought it there', () => {
    const random = randomFrom(1)
    for (const [accesses, logFactor] of [
      [30, 10],
      [1000, 10],
      [1000, 1],
      [50, 0],
    ] as const) {
      let sum = 0
      for (let n = 0; n < 400; n++) sum += accessesOf(countUp(accesses, logFactor, random), logFactor)
      const mean = sum / 400
      assert(mean > accesses * 0.85 && mean < accesses * 1.15, `${accesses} accesses look like ${mean}`)
    }
  })

  it('passes counterBeyond about as often as was asked for', () => {
    const random = randomFrom(2)
    const limit = counterBeyond(8, 10, 0.02)
    let passed = 0
    for (let n = 0; n < 20_000; n++) if (countUp(8, 10, random) >= limit) passed++
    assert(passed / 20_000 < 0.02, `${passed}`)
    // One less would be passed too often.
    let reached = 0
    for (let n = 0; n < 20_000; n++) if (countUp(8, 10, random) >= limit - 1) reached++
    assert(reached / 20_000 >= 0.02, `${reached}`)
  })

  it('counterBeyond grows with the touches, and is 6 after none', () => {
    assertEquals(counterBeyond(0, 10, 1e-5), 6)
    assertEquals(counterBeyond(3, 0, 1e-5), 9)
    check(
      fc.property(fc.nat(40), fc.integer({ min: 0, max: 20 }), (touches, logFactor) => {
        assert(counterBeyond(touches + 1, logFactor, 1e-5) >= counterBeyond(touches, logFactor, 1e-5))
        assert(counterBeyond(touches, logFactor, 1e-5) <= 6 + touches)
      }),
    )
  })
})
