import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { LatencyWindow } from '../../src/origin/latency-window.ts'
import { FakeClock } from '../fakes/clock.ts'
import { check } from '../support/property.ts'

describe('LatencyWindow', () => {
  it('p95 is the 95th percentile, to within 1 % and never above it', () => {
    const latencies = fc.array(fc.double({ min: 0.01, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 300 })
    check(
      fc.property(latencies, (all) => {
        const window = new LatencyWindow(new FakeClock())
        for (const latency of all) window.add(latency)
        const exact = all.sort((a, b) => a - b)[Math.ceil(all.length * 0.95) - 1] as number
        const { count, p95Ms } = window.p95(10_000)
        assertEquals(count, all.length)
        assert(p95Ms !== null && p95Ms <= exact && p95Ms >= exact / 1.0101, `${p95Ms}, exactly ${exact}`)
      }),
    )
  })

  it('p95 knows only what is in the window asked for', () => {
    const clock = new FakeClock()
    const window = new LatencyWindow(clock)
    window.add(100)
    clock.tick(9000)
    window.add(1)
    assertEquals(window.p95(10_000), { count: 2, p95Ms: 100 })
    clock.tick(1000)
    assertEquals(window.p95(10_000), { count: 1, p95Ms: 1 })
    assertEquals(window.p95(60_000), { count: 2, p95Ms: 100 })
    clock.tick(200_000)
    assertEquals(window.p95(600_000), { count: 0, p95Ms: null })
  })

  it('p95 of nothing, and after clear, is null; a latency of 0 counts', () => {
    const window = new LatencyWindow(new FakeClock())
    assertEquals(window.p95(10_000), { count: 0, p95Ms: null })
    window.add(0)
    assertEquals(window.p95(10_000), { count: 1, p95Ms: 0 })
    window.clear()
    assertEquals(window.p95(10_000), { count: 0, p95Ms: null })
  })
})
