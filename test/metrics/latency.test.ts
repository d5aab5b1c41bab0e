import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Latency } from '../../src/metrics/latency.ts'
import { check } from '../support/property.ts'

const HOUR_NS = 3_600_000_000_000
const samples = fc.array(
  fc.record({ ns: fc.integer({ min: 1000, max: HOUR_NS }), count: fc.integer({ min: 1, max: 50 }) }),
  {
    minLength: 1,
    maxLength: 40,
  },
)

function latencyOf(all: readonly { ns: number; count: number }[]): Latency {
  const latency = new Latency()
  for (const { ns, count } of all) latency.record(ns, count)
  return latency
}

describe('Latency', () => {
  it('summary of nothing is all zeros', () => {
    const latency = new Latency()
    latency.record(5_000_000, 0)
    assertEquals(latency.summary(), { p50: 0, p95: 0, p99: 0, max: 0 })
  })

  it('summary counts keys, not batches', () => {
    const latency = latencyOf([
      { ns: 1_000_000, count: 98 },
      { ns: 900_000_000, count: 2 },
    ])
    const { p50, p95, p99, max } = latency.summary()
    assert(Math.abs(p50 - 1e6) <= 1e3 && Math.abs(p95 - 1e6) <= 1e3, `${p50} ${p95}`)
    assert(p99 >= 899e6 && p99 <= max, `${p99}`)
    assertEquals(max, 900_000_000)
  })

  it('summary is right to a thousandth of each percentile, and its largest is exact', () => {
    const property = fc.property(samples, (all) => {
      const each = all.flatMap(({ ns, count }) => Array.from({ length: count }, () => ns)).sort((a, b) => a - b)
      const at = (percent: number) => each[Math.max(0, Math.ceil((percent / 100) * each.length) - 1)] as number
      const summary = latencyOf(all).summary()
      assertEquals(summary.max, each.at(-1))
      for (const [told, true_] of [
        [summary.p50, at(50)],
        [summary.p95, at(95)],
        [summary.p99, at(99)],
      ] as const)
        assert(Math.abs(told - true_) <= Math.max(1000, true_ / 900), `${told} for ${true_}`)
    })
    check(property)
  })

  it('merge says the same as one that saw everything', () => {
    check(
      fc.property(samples, samples, (some, others) => {
        const merged = latencyOf(some)
        merged.merge(latencyOf(others))
        assertEquals(merged.summary(), latencyOf([...some, ...others]).summary())
      }),
    )
  })

  it('merge leaves the other one alone', () => {
    const other = latencyOf([{ ns: 2_000_000, count: 1 }])
    const before = other.summary()
    latencyOf([{ ns: 9_000_000, count: 5 }]).merge(other)
    assertEquals(other.summary(), before)
  })

  it('record takes what is beyond its range: nothing at all, and more than an hour', () => {
    assertEquals(latencyOf([{ ns: 0, count: 3 }]).summary(), { p50: 0, p95: 0, p99: 0, max: 0 })
    assertEquals(latencyOf([{ ns: 300, count: 3 }]).summary().p50, 300)
    assertEquals(latencyOf([{ ns: 5 * HOUR_NS, count: 1 }]).summary().max, 5 * HOUR_NS)
  })
})
