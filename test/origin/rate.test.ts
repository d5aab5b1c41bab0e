import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { SharedRate } from '../../src/coordination/types.ts'
import { OriginRate } from '../../src/origin/rate.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeSharedRate } from '../fakes/shared-rate.ts'
import { checkAsync } from '../support/property.ts'

/** Instances that share one rate; a lease takes `roundTripMs`. */
class Instances {
  readonly clock = new FakeClock()
  readonly shared: FakeSharedRate
  readonly rates: OriginRate[] = []
  freed = 0
  leases = 0

  constructor(rps: number, { count = 1, roundTripMs = 0 } = {}) {
    this.shared = new FakeSharedRate(rps, this.clock)
    const shared: SharedRate = {
      lease: async (wanted) => {
        this.leases++
        if (roundTripMs > 0) await this.clock.sleep(roundTripMs)
        return this.shared.lease(wanted)
      },
    }
    const onFree = () => this.freed++
    for (let at = 0; at < count; at++) this.rates.push(new OriginRate({ rps, clock: this.clock, shared, onFree }))
  }

  get first(): OriginRate {
    return this.rates[0] as OriginRate
  }

  /** All instances take as much as they get, one request at a time. */
  async run(ms: number): Promise<number> {
    const endMs = this.clock.elapsedMs + ms
    let granted = 0
    while (this.clock.elapsedMs < endMs) {
      for (const rate of this.rates) while (rate.take(1).granted) granted++
      await this.clock.advance(1)
    }
    return granted
  }
}

describe('OriginRate, shared', () => {
  it('take is refused until a lease has come, then tells so', async () => {
    const { first, clock, ...rest } = new Instances(100, { roundTripMs: 3 })
    assertEquals(first.take(1), { granted: false, retryInMs: 2000, isLimit: false })
    await clock.advance(2)
    assertEquals(first.take(1), { granted: false, retryInMs: 1998, isLimit: false })
    assertEquals(rest.freed, 0)
  })

  it('take calls onFree once when what was missing has come, and leases a tenth of a second ahead', async () => {
    const instances = new Instances(100, { roundTripMs: 3 })
    for (let at = 0; at < 3; at++) instances.first.take(1)
    await instances.clock.advance(3)
    assertEquals([instances.freed, instances.leases, instances.shared.granted], [1, 1, [10]])
    for (let at = 0; at < 5; at++) assert(instances.first.take(1).granted)
    assertEquals(instances.leases, 1)
    assert(instances.first.take(1).granted)
    assertEquals(instances.leases, 2)
    await instances.clock.advance(3)
    assertEquals([instances.freed, instances.shared.granted.length], [1, 2])
  })

  it('take of all instances together gets the whole rate, and no more', async () => {
    for (const [rps, count, roundTripMs] of [
      [100, 1, 0],
      [100, 1, 5],
      [25, 1, 2],
      [100, 3, 5],
      [1000, 5, 2],
    ] as const) {
      const granted = await new Instances(rps, { count, roundTripMs }).run(10_000)
      const most = rps * 10 + 2 * Math.max(1, rps / 10)
      assert(granted >= rps * 9.3 && granted <= most, `${granted} with ${count} at ${rps} a second`)
    }
  })

  it('take asks Redis a few times a second, not for each request', async () => {
    const instances = new Instances(1000)
    await instances.run(5000)
    assert(instances.leases <= 5 * 25, `${instances.leases}`)
    const idle = instances.leases
    await instances.clock.advance(60_000)
    assertEquals(instances.leases, idle)
  })

  it('take goes by this instance’s own bucket while nobody can tell, and returns to the shared one', async () => {
    const instances = new Instances(100, { count: 2 })
    await instances.run(1000)
    instances.shared.isDown = true
    await instances.run(1000)
    const away = await instances.run(5000)
    assert(away >= 2 * 490 && away <= 2 * 510, `${away}`)
    assert(instances.leases < 120, `${instances.leases}`)
    instances.shared.isDown = false
    await instances.run(2000)
    const back = await instances.run(5000)
    assert(back >= 465 && back <= 520, `${back}`)
  })

  it('take goes by its own bucket when a lease never comes, or is refused with an error', async () => {
    const clock = new FakeClock()
    const hung = new OriginRate({ rps: 10, clock, shared: { lease: () => new Promise(() => {}) }, onFree: () => {} })
    assertEquals(hung.take(1).granted, false)
    clock.tick(2000)
    assertEquals(hung.take(1).granted, true)
    assertEquals(hung.take(1), { granted: false, retryInMs: 100, isLimit: true })
    const broken = new OriginRate({
      rps: 10,
      clock,
      shared: { lease: () => Promise.reject(new Error('broken')) },
      onFree: () => {},
    })
    assertEquals(broken.take(1).granted, false)
    await turn()
    assertEquals([broken.take(1).granted, broken.take(1).granted], [true, false])
  })

  it('take pays off a batch that costs more than a tenth of a second before the next', async () => {
    const instances = new Instances(100)
    const { first, clock } = instances
    const at: number[] = []
    while (at.length < 5) {
      if (first.take(50).granted) at.push(clock.elapsedMs)
      await clock.advance(5)
    }
    for (const [index, ms] of at.slice(1).entries()) {
      const sinceMs = ms - (at[index] as number)
      assert(sinceMs >= 400 && sinceMs <= 620, `${at}`)
    }
  })

  it('retune takes effect on the next take', async () => {
    const instances = new Instances(1000)
    await instances.run(500)
    instances.first.retune(10)
    const granted = await instances.run(10_000)
    assert(granted >= 90 && granted <= 102, `${granted}`)
  })

  it('take never exceeds the rate, whatever is leased, and when it is not', async () => {
    const step = fc.record({
      cost: fc.integer({ min: 1, max: 30 }),
      waitMs: fc.integer({ min: 0, max: 400 }),
      lease: fc.constantFrom('all', 'none', 'more', 'away', 'error'),
    })
    const rps = fc.constantFrom(1, 7, 100, 1000)
    await checkAsync(
      fc.asyncProperty(rps, fc.array(step, { maxLength: 60 }), async (rate, steps) => {
        const clock = new FakeClock()
        let answer = 'all'
        const shared: SharedRate = {
          async lease(wanted) {
            if (answer === 'away') return null
            if (answer === 'error') throw new Error('broken')
            const granted = answer === 'none' ? 0 : answer === 'more' ? wanted * 1000 : wanted
            return { granted, retryInMs: granted === 0 ? 20 : 0 }
          },
        }
        const limited = new OriginRate({ rps: rate, clock, shared, onFree: () => {} })
        const granted: { atS: number; cost: number }[] = []
        for (const { cost, waitMs, lease } of steps) {
          answer = lease
          if (limited.take(cost).granted) granted.push({ atS: clock.elapsedMs / 1000, cost })
          await turn()
          clock.tick(waitMs)
        }
        const capacity = Math.max(1, rate / 10)
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
      }),
    )
  })
})
