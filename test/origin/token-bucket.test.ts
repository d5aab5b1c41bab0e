import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { TokenBucket } from '../../src/origin/token-bucket.ts'
import { FakeClock } from '../fakes/clock.ts'
import { check } from '../support/property.ts'

const rps = fc.constantFrom(0.5, 1, 3, 10, 100, 2500)
const step = fc.record({ cost: fc.integer({ min: 1, max: 60 }), waitMs: fc.double({ min: 0, max: 400, noNaN: true }) })

describe('TokenBucket', () => {
  it('take grants no more than rps * t + capacity, and one oversize cost, in any window', () => {
    const property = fc.property(rps, fc.array(step, { maxLength: 60 }), fc.boolean(), (rate, steps, obeys) => {
      const clock = new FakeClock()
      const bucket = new TokenBucket(rate, clock)
      const capacity = Math.max(1, rate / 10)
      const granted: { atS: number; cost: number }[] = []
      for (const { cost, waitMs } of steps) {
        const asked = bucket.take(cost)
        if (asked === 0) granted.push({ atS: clock.elapsedMs / 1000, cost })
        clock.tick(obeys && asked > 0 ? asked : waitMs)
      }
      for (const [first, from] of granted.entries()) {
        let sum = 0
        let largest = 0
        for (const to of granted.slice(first)) {
          sum += to.cost
          largest = Math.max(largest, to.cost)
          const most = rate * (to.atS - from.atS) + capacity + Math.max(0, largest - capacity)
          assert(sum <= most + 1e-3, `${sum} of ${most} in ${to.atS - from.atS} s`)
        }
      }
    })
    check(property, 500)
  })

  it('take tells a wait after which it grants', () => {
    const property = fc.property(rps, fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }), (rate, costs) => {
      const clock = new FakeClock()
      const bucket = new TokenBucket(rate, clock)
      for (const cost of costs) {
        const waitMs = bucket.take(cost)
        if (waitMs === 0) continue
        assert(waitMs > 0 && Number.isFinite(waitMs))
        clock.tick(waitMs)
        assertEquals(bucket.take(cost), 0)
      }
    })
    check(property)
  })

  it('take uses the whole rate over a long time', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(100, clock)
    let granted = 0
    while (clock.elapsedMs < 60_000) {
      const waitMs = bucket.take(1)
      if (waitMs === 0) granted++
      else clock.tick(waitMs)
    }
    assert(granted >= 6000 && granted <= 6011, `${granted}`)
  })

  it('take refused costs nothing', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(10, clock)
    assertEquals(bucket.take(1), 0)
    const waits = [bucket.take(1), bucket.take(1), bucket.take(1)]
    assertEquals(waits, [100, 100, 100])
  })

  it('retune goes on at another rate, and keeps what was saved up, within its bound', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(100, clock)
    bucket.retune(20)
    assertEquals([bucket.take(1), bucket.take(1), bucket.take(1)], [0, 0, 50])
    clock.tick(25)
    bucket.retune(1000)
    assertEquals(bucket.take(1), 0.5)
    clock.tick(1000)
    assertEquals([bucket.take(100), bucket.take(1)], [0, 1])
    assertThrows(() => bucket.retune(0), RangeError, 'rps must be > 0, current value is 0')
  })

  it('retune leaves what is still to be paid off', () => {
    const bucket = new TokenBucket(10, new FakeClock())
    assertEquals(bucket.take(6), 0)
    bucket.retune(100)
    assertEquals(bucket.take(10), 150)
  })

  it('TokenBucket refuses a rate that is not above 0', () => {
    for (const rate of [0, -1, Number.NaN])
      assertThrows(
        () => new TokenBucket(rate, new FakeClock()),
        RangeError,
        `rps must be > 0, current value is ${rate}`,
      )
  })
})
