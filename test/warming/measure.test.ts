import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import { Measurements, OTHER } from '../../src/warming/measure.ts'
import { FakeClock } from '../fakes/clock.ts'

function bench(maxNames?: number) {
  const clock = new FakeClock()
  const measurements = new Measurements({
    nowNs: () => clock.nowNs(),
    ...(maxNames === undefined ? {} : { maxNames }),
  })
  return { clock, measurements }
}

describe('measuring functions', () => {
  it('returns what the function returns and counts what it took', () => {
    const { clock, measurements } = bench()
    const value = measurements.measure('sum', () => {
      clock.tick(2)
      return 42
    })
    assertEquals(value, 42)
    const { count, maxNs, p50Ns } = measurements.summary().sum ?? { count: 0, maxNs: 0, p50Ns: 0 }
    assertEquals([count, maxNs], [1, 2_000_000])
    assert(p50Ns > 1_980_000 && p50Ns <= 2_000_000, `${p50Ns}`)
  })

  it('counts an asynchronous function until it settles', async () => {
    const { clock, measurements } = bench()
    const work = measurements.measure('later', async () => {
      await clock.sleep(30)
      return 'done'
    })
    assertEquals(measurements.summary(), {})
    assertEquals(await clock.until(work), 'done')
    assertEquals(measurements.summary().later?.maxNs, 30_000_000)
  })

  it('counts what fails, too, and lets its error through', async () => {
    const { clock, measurements } = bench()
    assertThrows(
      () =>
        measurements.measure('bad', () => {
          clock.tick(1)
          throw new Error('at once')
        }),
      Error,
      'at once',
    )
    const later = measurements.measure('bad', async () => {
      clock.tick(3)
      throw new Error('later')
    })
    await assertRejects(() => later, Error, 'later')
    assertEquals([measurements.summary().bad?.count, measurements.summary().bad?.maxNs], [2, 3_000_000])
  })

  it('tells percentiles to 1 %, from single nanoseconds to an hour', () => {
    const { measurements } = bench()
    for (let ns = 1; ns <= 100; ns++) measurements.record('small', ns)
    const { p50Ns, p95Ns, p99Ns, maxNs, count } = measurements.summary().small ?? fail()
    assertEquals([p50Ns, p95Ns, p99Ns, maxNs, count], [50, 95, 99, 100, 100])
    for (let ms = 1; ms <= 1000; ms++) measurements.record('large', ms * 1e6)
    const large = measurements.summary().large ?? fail()
    for (const [got, want] of [
      [large.p50Ns, 500e6],
      [large.p95Ns, 950e6],
      [large.p99Ns, 990e6],
    ] as const)
      assert(Math.abs(got / want - 1) <= 0.01, `${got} is not ${want}`)
    measurements.record('day', 86_400e9)
    assertEquals(measurements.summary().day?.maxNs, 86_400e9)
    measurements.record('back', -5)
    assertEquals(measurements.summary().back?.maxNs, 0)
  })

  it('keeps a bounded number of names and sums up the rest', () => {
    const { measurements } = bench(3)
    for (let number = 0; number < 1000; number++) measurements.record(`user:${number}`, 10)
    measurements.record('user:1', 10)
    const summary = measurements.summary()
    assertEquals(Object.keys(summary), ['user:0', 'user:1', 'user:2', OTHER])
    assertEquals([summary['user:1']?.count, summary[OTHER]?.count], [2, 997])
    measurements.reset()
    assertEquals(measurements.summary(), {})
    assertThrows(() => bench(0), RangeError, 'maxNames must be a whole number from 1, current value is 0')
  })

  it('takes a name such as __proto__ for a name', () => {
    const { measurements } = bench()
    measurements.measure('__proto__', () => 1)
    assertEquals(
      Object.entries(measurements.summary()).map(([name, { count }]) => [name, count]),
      [['__proto__', 1]],
    )
  })
})

function fail(): never {
  throw new Error('nothing was measured')
}
