import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import {
  type EmergencyChange,
  NO_EMERGENCY,
  OriginEmergency,
  type Pass,
  transition,
} from '../../src/origin/emergency.ts'
import { FakeClock } from '../fakes/clock.ts'
import { check } from '../support/property.ts'

const THRESHOLD = 2000

class Bench {
  readonly clock = new FakeClock()
  readonly changes: EmergencyChange[] = []
  readonly emergency = new OriginEmergency({
    thresholdMs: THRESHOLD,
    clock: this.clock,
    onChange: (change) => this.changes.push(change),
  })

  /** Sends a batch that takes `latencyMs`, on a clock that stands still. */
  batch(latencyMs: number, { isDown = false, concurrency = 10 } = {}): void {
    assertEquals(this.emergency.waitMs, 0)
    this.emergency.learn(this.emergency.enter(), { latencyMs, isDown }, concurrency)
  }

  batches(count: number, latencyMs: number): this {
    for (let at = 0; at < count; at++) this.batch(latencyMs)
    return this
  }

  get what(): string[] {
    return this.changes.map(({ change }) => change)
  }
}

describe('OriginEmergency', () => {
  it('stops when the p95 of at least 20 requests passes the threshold, once, and says why', () => {
    const bench = new Bench().batches(19, 3000)
    assertEquals([bench.emergency.state.state, bench.changes.length], ['none', 0])
    bench.batch(3000)
    assertEquals([bench.emergency.waitMs, bench.emergency.stops], [5000, 1])
    const reason =
      'the origin is too slow: the 95th percentile of its latency is 3000 ms, above the threshold of 2000 ms'
    assertEquals(bench.changes, [{ change: 'stop', reason, p95Ms: 3000 }])
  })

  it('bears slow batches up to one in twenty, and any at the threshold', () => {
    const bench = new Bench().batches(95, 100).batches(5, 9000)
    assertEquals([bench.emergency.state.state, bench.emergency.p95Ms(10)], ['none', 100])
    bench.batch(9000)
    assertEquals(bench.emergency.state.state, 'stopped')
    assertEquals(new Bench().batches(1000, THRESHOLD).emergency.state.state, 'none')
  })

  it('forgets what is older than its window', () => {
    const bench = new Bench().batches(19, 3000)
    bench.clock.tick(11_000)
    assertEquals(bench.batches(19, 3000).emergency.state.state, 'none')
    assertEquals(bench.batches(1, 3000).emergency.state.state, 'stopped')
  })

  it('looks back further where so few run at once that 20 slow batches take longer than 10 s', () => {
    for (const [concurrency, latencyMs] of [
      [1, 5000],
      [2, 5000],
      [4, 4000],
      [10, 5000],
    ] as const) {
      const bench = new Bench()
      for (let at = 0; at < 21 && bench.changes.length === 0; at++) {
        bench.batch(latencyMs, { concurrency })
        bench.clock.tick(latencyMs / concurrency)
      }
      assertEquals(bench.what, ['stop'], `${concurrency} at once`)
    }
  })

  it('counts a timeout with what it took, and takes a refused connection for no fast answer', () => {
    const bench = new Bench()
    for (let at = 0; at < 100; at++) bench.batch(1, { isDown: true })
    assertEquals(bench.emergency.p95Ms(10), null)
    for (let at = 0; at < 20; at++) bench.batch(5000, { isDown: true })
    assertEquals(bench.what, ['stop'])
  })

  it('probes with one batch at a time after the pause, and resumes after five fast ones', () => {
    const bench = new Bench().batches(20, 3000)
    const { clock, emergency } = bench
    clock.tick(4999)
    assertEquals([emergency.state.state, emergency.waitMs], ['stopped', 1])
    clock.tick(1)
    assertEquals([emergency.state.state, emergency.waitMs], ['probing', 0])
    for (let at = 0; at < 5; at++) {
      assertEquals(emergency.waitMs, 0)
      const pass = emergency.enter()
      assertEquals(emergency.waitMs, null)
      emergency.learn(pass, { latencyMs: 1599, isDown: false }, 10)
    }
    assertEquals([emergency.state.state, emergency.waitMs, bench.what], ['none', 0, ['stop', 'resume']])
    assertEquals(emergency.p95Ms(10), null)
  })

  it('stops again after one slow probe, for twice as long each time, up to a minute; counted and announced each time', () => {
    const bench = new Bench().batches(20, 3000)
    const waits: (number | null)[] = []
    for (let at = 0; at < 6; at++) {
      waits.push(bench.emergency.waitMs)
      bench.clock.tick(waits.at(-1) as number)
      bench.batch(1000)
      bench.batch(2001)
    }
    assertEquals(waits, [5000, 10_000, 20_000, 40_000, 60_000, 60_000])
    assertEquals([bench.emergency.stops, bench.changes.length], [7, 7])
    const last = bench.changes.at(-1)
    assert(last?.change === 'stop' && last.reason.includes('a probe took 2001 ms'), JSON.stringify(last))
  })

  it('goes on probing while probes are neither fast nor slow, down, or lost', () => {
    const bench = new Bench().batches(20, 3000)
    bench.clock.tick(5000)
    const { emergency } = bench
    for (const [latencyMs, isDown] of [
      [1600, false],
      [2000, false],
      [1, true],
    ] as const) {
      bench.batches(4, 10)
      bench.batch(latencyMs, { isDown })
      assertEquals(emergency.state.state, 'probing')
    }
    bench.batches(4, 10)
    emergency.learn(emergency.enter(), null, 10)
    assertEquals([emergency.state.state, emergency.waitMs], ['probing', 0])
    bench.batch(10)
    assertEquals(emergency.state.state, 'none')
  })

  it('learns nothing from batches that were sent before the stop', () => {
    const bench = new Bench()
    const { emergency, clock } = bench
    const old: Pass[] = Array.from({ length: 40 }, () => emergency.enter())
    bench.batches(20, 3000)
    for (const pass of old.slice(0, 10)) emergency.learn(pass, { latencyMs: 9000, isDown: false }, 10)
    clock.tick(5000)
    assertEquals(emergency.state.state, 'probing')
    for (const pass of old.slice(10, 20)) emergency.learn(pass, { latencyMs: 9000, isDown: false }, 10)
    assertEquals([emergency.state.state, emergency.waitMs], ['probing', 0])
    bench.batches(5, 10)
    for (const pass of old.slice(20)) emergency.learn(pass, { latencyMs: 9000, isDown: false }, 10)
    assertEquals([emergency.state.state, emergency.stops], ['none', 1])
  })

  it('does not flap: a stop soon after a resumption lasts longer, one after a calm minute begins anew', () => {
    const bench = new Bench()
    const stopAndResume = () => {
      bench.batches(20, 3000)
      const waitMs = bench.emergency.waitMs as number
      bench.clock.tick(waitMs)
      bench.batches(5, 10)
      assertEquals(bench.emergency.state.state, 'none')
      return waitMs
    }
    assertEquals([stopAndResume(), stopAndResume(), stopAndResume()], [5000, 10_000, 20_000])
    bench.clock.tick(60_000)
    assertEquals(stopAndResume(), 5000)
  })

  it('resume ends a stop by hand, unannounced, and begins anew', () => {
    const bench = new Bench().batches(20, 3000)
    assertEquals([bench.emergency.resume(), bench.emergency.resume()], [true, false])
    assertEquals([bench.emergency.state.state, bench.emergency.p95Ms(10), bench.what], ['none', null, ['stop']])
    assertEquals(bench.batches(19, 3000).emergency.state.state, 'none')
    assertEquals(bench.batches(1, 3000).emergency.waitMs, 5000)
  })

  it('goes by another threshold from the next batch on', () => {
    const bench = new Bench().batches(30, 1000)
    bench.emergency.thresholdMs = 500
    assertEquals(bench.batches(1, 1000).what, ['stop'])
  })

  it('tells since when, also where nobody looked at the moment', () => {
    const bench = new Bench().batches(20, 3000)
    const stoppedMs = bench.clock.nowMs()
    const since = () => {
      const { state } = bench.emergency
      return [state.state, state.state === 'none' ? null : state.sinceMs]
    }
    assertEquals(since(), ['stopped', stoppedMs])
    bench.clock.tick(60_000)
    assertEquals(since(), ['probing', stoppedMs + 5000])
  })

  it('stays calm at any latencies at or below the threshold, and announces stops and resumptions in turn', () => {
    const latency = fc.oneof(fc.integer({ min: 0, max: THRESHOLD }), fc.integer({ min: THRESHOLD + 1, max: 60_000 }))
    const step = fc.record({ latency, waitMs: fc.integer({ min: 0, max: 3000 }), isDown: fc.boolean() })
    check(
      fc.property(fc.array(step, { minLength: 1, maxLength: 300 }), (steps) => {
        const bench = new Bench()
        for (const { latency, waitMs, isDown } of steps) {
          bench.clock.tick(waitMs)
          if (bench.emergency.waitMs === 0) bench.batch(latency, { isDown })
          const { state } = bench.emergency.state
          // The last word is what holds.
          assertEquals(bench.what.at(-1) === 'stop', state !== 'none')
        }
        if (steps.every(({ latency }) => latency <= THRESHOLD)) assertEquals(bench.changes, [])
        assertEquals(bench.what.filter((one) => one === 'stop').length, bench.emergency.stops)
        assert(!bench.what.some((one, at) => one === 'resume' && bench.what[at - 1] !== 'stop'))
      }),
    )
  })
})

describe('transition', () => {
  it('changes nothing for an event that means nothing there', () => {
    const now = { nowMs: 0, nowNs: 0, thresholdMs: THRESHOLD }
    const stopped = transition(NO_EMERGENCY, { type: 'slow', p95Ms: 3000 }, now)
    for (const type of ['looked', 'probe_sent', 'probe_lost'] as const) {
      assertEquals(transition(NO_EMERGENCY, { type }, now), NO_EMERGENCY)
      assertEquals(transition(stopped, { type }, now), stopped)
    }
    assertEquals(transition(stopped, { type: 'slow', p95Ms: 9000 }, now), stopped)
    assertEquals(transition(stopped, { type: 'probe_ended', latencyMs: 1, isDown: false }, now), stopped)
  })
})
