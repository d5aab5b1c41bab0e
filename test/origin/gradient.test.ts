import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Gradient } from '../../src/origin/gradient.ts'
import { FakeClock } from '../fakes/clock.ts'
import { check } from '../support/property.ts'

const gradientOf = (max: number) => {
  const clock = new FakeClock()
  return { clock, gradient: new Gradient(max, clock) }
}

const answer = (gradient: Gradient, count: number, latencyMs: number, task = 'a') => {
  for (let at = 0; at < count; at++) gradient.answered(task, latencyMs)
}

describe('Gradient', () => {
  it('begins at its maximum', () => {
    assertEquals(
      [1, 2, 10, 500].map((max) => gradientOf(max).gradient.limit),
      [1, 2, 10, 500],
    )
  })

  it('never shrinks while each task’s latency is constant, whatever the others’ are', () => {
    const task = fc.record({ name: fc.constantFrom('a', 'b', 'c'), count: fc.integer({ min: 1, max: 300 }) })
    const latencies = fc.record({ a: fc.double({ min: 0, max: 1e5, noNaN: true }), b: fc.nat(1e5), c: fc.nat(10) })
    check(
      fc.property(fc.integer({ min: 1, max: 100 }), latencies, fc.array(task, { maxLength: 10 }), (max, of, runs) => {
        const { gradient } = gradientOf(max)
        for (const { name, count } of runs) {
          for (let at = 0; at < count; at++) {
            gradient.answered(name, of[name])
            assertEquals(gradient.limit, max)
          }
        }
      }),
      100,
    )
  })

  it('never shrinks while latency varies by less than a factor of two, in whatever order', () => {
    const latencies = fc.array(fc.double({ min: 10, max: 19.9, noNaN: true }), { maxLength: 400 })
    check(
      fc.property(latencies, (all) => {
        const { gradient } = gradientOf(10)
        for (const latency of all) {
          gradient.answered('a', latency)
          assertEquals(gradient.limit, 10)
        }
      }),
    )
  })

  it('does not shrink where latency stays just below twice the usual', () => {
    const { gradient } = gradientOf(10)
    answer(gradient, 200, 10)
    for (let at = 0; at < 300; at++) {
      gradient.answered('a', 19.9)
      assertEquals(gradient.limit, 10)
    }
  })

  it('does not shrink where one batch in ten is a hundred times as slow, also several in a row', () => {
    const { gradient } = gradientOf(10)
    for (let at = 0; at < 2000; at++) {
      gradient.answered('a', at % 40 >= 36 ? 500 : 5)
      assertEquals(gradient.limit, 10)
    }
  })

  it('shrinks step by step, down to 1, as latency grows above twice the usual', () => {
    const { gradient } = gradientOf(20)
    answer(gradient, 200, 50)
    const limits: number[] = []
    for (let at = 0; at < 60; at++) {
      gradient.answered('a', 2000)
      limits.push(gradient.limit)
    }
    assertEquals(Math.min(...limits), 1)
    for (const [at, limit] of limits.slice(1).entries()) assert(limit >= (limits[at] as number) * 0.85 - 1, `${limits}`)
  })

  it('grows back to the maximum when the origin has recovered', () => {
    const { gradient } = gradientOf(20)
    answer(gradient, 200, 50)
    answer(gradient, 60, 2000)
    assert(gradient.limit < 20, `${gradient.limit}`)
    answer(gradient, 100, 50)
    assertEquals(gradient.limit, 20)
    answer(gradient, 1000, 50)
    assertEquals(gradient.limit, 20)
  })

  it('follows an origin that bears less for a while: near what it bears, and back', () => {
    const { gradient } = gradientOf(20)
    let bears = 20
    /** Answers as many as may run at once, again and again; those above what it bears wait their turn. */
    const run = (rounds: number) => {
      for (let round = 0; round < rounds; round++)
        answer(gradient, gradient.limit, 50 * Math.max(1, gradient.limit / bears))
    }
    run(20)
    assertEquals(gradient.limit, 20)
    bears = 2
    run(3)
    for (let at = 0; at < 50; at++) {
      run(1)
      assert(gradient.limit <= 4 * bears, `${gradient.limit} after ${at}`)
    }
    bears = 20
    run(10)
    assertEquals(gradient.limit, 20)
  })

  it('takes a latency that stays for the usual one after a while', () => {
    const { gradient } = gradientOf(20)
    answer(gradient, 200, 50)
    answer(gradient, 60, 200)
    assert(gradient.limit < 20, `${gradient.limit}`)
    answer(gradient, 1000, 200)
    assertEquals(gradient.limit, 20)
  })

  it('soon forgets what was usual under load, once the origin is fast', () => {
    const { gradient } = gradientOf(20)
    answer(gradient, 500, 500)
    answer(gradient, 40, 20)
    assertEquals(gradient.limit, 20)
    answer(gradient, 20, 300)
    assert(gradient.limit < 20, `${gradient.limit}`)
  })

  it('halves when the origin is down, at most once a second and never below 1', () => {
    const { clock, gradient } = gradientOf(10)
    clock.tick(1)
    for (let at = 0; at < 10; at++) gradient.failed(0)
    assertEquals(gradient.limit, 5)
    clock.tick(999)
    gradient.failed(clock.nowNs())
    assertEquals(gradient.limit, 5)
    clock.tick(1)
    gradient.failed(clock.nowNs())
    assertEquals(gradient.limit, 2)
    for (let at = 0; at < 10; at++) {
      clock.tick(1000)
      gradient.failed(clock.nowNs())
      assertEquals(gradient.limit, 1)
    }
    answer(gradient, 100, 50)
    assertEquals(gradient.limit, 10)
  })

  it('halves once for all batches that were on their way together, however long they take', () => {
    const { clock, gradient } = gradientOf(10)
    const sentNs = clock.nowNs()
    for (let at = 0; at < 10; at++) {
      clock.tick(5000)
      gradient.failed(sentNs)
    }
    assertEquals(gradient.limit, 5)
  })

  it('stays at 1 where that is the maximum', () => {
    const { clock, gradient } = gradientOf(1)
    for (let at = 0; at < 100; at++) {
      clock.tick(1000)
      gradient.failed(clock.nowNs())
      gradient.answered('a', at)
      assertEquals(gradient.limit, 1)
    }
  })

  it('retune takes the bound along where it was not shrunk, and bounds it in any case', () => {
    const { clock, gradient } = gradientOf(10)
    gradient.retune(40)
    assertEquals(gradient.limit, 40)
    clock.tick(1)
    gradient.failed(0)
    gradient.retune(80)
    assertEquals(gradient.limit, 20)
    gradient.retune(5)
    assertEquals(gradient.limit, 5)
  })

  it('limit is a whole number from 1 to the maximum, whatever happens', () => {
    const event = fc.record({
      latencyMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e9, noNaN: true })),
      isDown: fc.boolean(),
      waitMs: fc.nat(3000),
      max: fc.option(fc.integer({ min: 1, max: 200 }), { freq: 10 }),
    })
    check(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.array(event, { maxLength: 200 }), (first, events) => {
        const { clock, gradient } = gradientOf(first)
        let most = first
        for (const { latencyMs, isDown, waitMs, max } of events) {
          const sentNs = clock.nowNs()
          clock.tick(waitMs)
          if (max !== null) gradient.retune(max)
          most = max ?? most
          if (isDown) gradient.failed(sentNs)
          else gradient.answered('a', latencyMs)
          assert(Number.isInteger(gradient.limit) && gradient.limit >= 1 && gradient.limit <= most, `${gradient.limit}`)
        }
      }),
    )
  })
})
