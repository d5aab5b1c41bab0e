import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { EmergencyChange } from '../../src/origin/emergency.ts'
import { type GuardOptions, OriginGuard, type Permit, type Seen } from '../../src/origin/guard.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeSharedRate } from '../fakes/shared-rate.ts'

/** A guard, and batches that a test sends through it. */
class Desk {
  readonly clock = new FakeClock()
  readonly changes: EmergencyChange[] = []
  freed = 0
  readonly guard: OriginGuard

  constructor(options: Partial<GuardOptions> = {}) {
    this.guard = new OriginGuard({
      maxRps: 1_000_000,
      maxConcurrent: 10,
      clock: this.clock,
      onEmergency: (change) => this.changes.push(change),
      onFree: () => this.freed++,
      ...options,
    })
  }

  permit(task = 'a', requests = 1): Permit {
    const permission = this.guard.ask(task, requests)
    assert(permission.granted, JSON.stringify(permission))
    return permission.permit
  }

  batch(latencyMs: number, seen: Partial<Seen> = {}): void {
    this.permit().release({ requests: 1, durationNs: latencyMs * 1e6, isDown: false, ...seen })
  }

  batches(count: number, latencyMs: number): this {
    for (let at = 0; at < count; at++) this.batch(latencyMs)
    return this
  }
}

describe('OriginGuard, emergency', () => {
  it('ask gives no permit to any task while the origin is too slow, then one at a time', () => {
    const { guard, clock, changes, ...rest } = new Desk().batches(20, 3000)
    const desk = { guard, clock, ...rest }
    assertEquals(guard.ask('b', 1), { granted: false, retryInMs: 5000, isShared: true })
    assertEquals(
      changes.map(({ change }) => change),
      ['stop'],
    )
    clock.tick(5000)
    const probe = guard.ask('b', 1)
    assert(probe.granted)
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: null, isShared: true })
    probe.permit.release()
    assert(guard.ask('a', 1).granted)
  })

  it('release counts each request of a batch: few slow batches of many requests stop it, too', () => {
    const desk = new Desk({ emergencyThresholdMs: 2000 })
    const permits = Array.from({ length: 10 }, () => desk.permit('rates', 5))
    desk.clock.tick(15_000)
    for (const permit of permits) permit.release({ requests: 5, durationNs: 15e9, isDown: false })
    assertEquals([desk.guard.state.emergency, desk.changes.length], ['stopped', 1])
  })

  it('ask counts no probe that it did not grant: a refusal for another reason leaves the place free', () => {
    const desk = new Desk({ maxRps: 100 })
    for (let at = 0; at < 20; at++) {
      desk.clock.tick(10)
      desk.batch(3000)
    }
    desk.clock.tick(5000)
    desk.permit('a', 10).release()
    assertEquals(desk.guard.ask('a', 10), { granted: false, retryInMs: 100, isShared: true })
    desk.clock.tick(100)
    desk.permit('a', 10)
  })

  it('release counts a request’s latency, not a batch’s', () => {
    const { guard } = new Desk()
    for (let at = 0; at < 100; at++) {
      const permission = guard.ask('a', 50)
      assert(permission.granted)
      permission.permit.release({ requests: 50, durationNs: 50 * 1999e6, isDown: false })
    }
    assertEquals([guard.state.emergency, guard.state.p95Ms], ['none', 1999])
  })

  it('release without a word teaches nothing, nor does a batch without a request', () => {
    const desk = new Desk()
    for (let at = 0; at < 50; at++) {
      desk.permit().release()
      desk.permit().release({ requests: 0, durationNs: 9e12, isDown: false })
    }
    assertEquals([desk.guard.state.emergency, desk.guard.state.p95Ms], ['none', null])
  })

  it('state tells of a stop, its probes and its end', () => {
    const desk = new Desk({ maxConcurrent: 4, emergencyThresholdMs: 500 })
    const { guard, clock } = desk
    const calm = { emergency: 'none', sinceMs: null, thresholdMs: 500, concurrency: 4, inFlight: 0 } as const
    const none = { rateLimitHits: 0, emergencyStops: 0 }
    assertEquals(guard.state, { ...calm, ...none, p95Ms: null })
    desk.permit('a')
    assertEquals(guard.state, { ...calm, ...none, p95Ms: null, inFlight: 1 })
    desk.batches(20, 1000)
    const stop = { ...calm, p95Ms: 1000, inFlight: 1, rateLimitHits: 0, emergencyStops: 1 }
    const stoppedMs = clock.nowMs()
    assertEquals(guard.state, { ...stop, emergency: 'stopped', sinceMs: stoppedMs })
    clock.tick(7000)
    assertEquals(guard.state, { ...stop, emergency: 'probing', sinceMs: stoppedMs + 5000 })
    desk.batches(5, 10)
    assertEquals(guard.state, { ...stop, p95Ms: null })
    assertEquals(
      desk.changes.map(({ change }) => change),
      ['stop', 'resume'],
    )
  })

  it('resume lets everything go at once, and says so', () => {
    const desk = new Desk().batches(20, 3000)
    assertEquals([desk.guard.resume(), desk.freed, desk.changes.length], [true, 1, 1])
    desk.permit()
    desk.permit()
    assertEquals([desk.guard.resume(), desk.guard.state.p95Ms], [false, null])
  })
})

describe('OriginGuard, concurrency', () => {
  it('ask grants fewer at once while batches are slower than usual, and all again afterwards', () => {
    const desk = new Desk().batches(100, 20).batches(20, 500)
    const { concurrency } = desk.guard.state
    assert(concurrency < 10 && concurrency >= 1, `${concurrency}`)
    for (let at = 0; at < concurrency; at++) desk.permit()
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: null, isShared: true })
    const other = new Desk().batches(100, 20).batches(20, 500).batches(100, 20)
    assertEquals(other.guard.state.concurrency, 10)
  })

  it('ask grants half as many after a batch that found the origin down, also without a request', () => {
    const desk = new Desk()
    desk.clock.tick(1)
    desk.batch(5000, { isDown: true, requests: 0 })
    assertEquals(desk.guard.state.concurrency, 5)
  })
})

describe('OriginGuard, patience', () => {
  it('ask holds the task that was asked to wait until then, to the ms, and no other', () => {
    const desk = new Desk()
    desk.batch(10, { retryAfterMs: 1500 })
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 1500, isShared: false })
    desk.permit('b')
    desk.clock.tick(1499)
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 1, isShared: false })
    desk.clock.tick(1)
    desk.permit('a')
  })

  it('ask goes by the longest time of several batches', () => {
    const desk = new Desk()
    const permits = [desk.permit(), desk.permit(), desk.permit()]
    for (const [at, retryAfterMs] of [1000, 5000, 2000].entries())
      permits[at]?.release({ requests: 1, durationNs: 0, isDown: false, retryAfterMs })
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 5000, isShared: false })
  })

  it('release with a time to wait counts neither as slow nor as down', () => {
    const desk = new Desk()
    for (let at = 0; at < 100; at++) {
      desk.batch(9000, { retryAfterMs: 1000, isDown: true })
      desk.clock.tick(1000)
    }
    const { emergency, p95Ms, concurrency, rateLimitHits } = desk.guard.state
    assertEquals([emergency, p95Ms, concurrency, rateLimitHits], ['none', null, 10, 100])
  })
})

describe('OriginGuard, rate', () => {
  it('rateLimitHits counts each wait once, however often it is asked, and answers of 429', () => {
    const desk = new Desk({ maxRps: 10 })
    desk.permit()
    for (let at = 0; at < 5; at++) desk.guard.ask('a', 1)
    assertEquals(desk.guard.state.rateLimitHits, 1)
    desk.clock.tick(100)
    const permit = desk.permit()
    for (let at = 0; at < 5; at++) desk.guard.ask('a', 1)
    desk.guard.ask('b', 1)
    assertEquals(desk.guard.state.rateLimitHits, 3)
    permit.release({ requests: 1, durationNs: 0, isDown: true, isRateLimited: true })
    assertEquals(desk.guard.state.rateLimitHits, 4)
  })

  it('ask of instances that share a rate grants what all may have together, and tells when more has come', async () => {
    const clock = new FakeClock()
    const sharedRate = new FakeSharedRate(100, clock)
    let freed = 0
    const guards = [1, 2].map(
      () => new OriginGuard({ maxRps: 100, maxConcurrent: 1e6, clock, sharedRate, onFree: () => freed++ }),
    )
    assertEquals(
      guards.map((guard) => guard.ask('a', 1).granted),
      [false, false],
    )
    await clock.advance(0)
    assertEquals(freed, 2)
    let granted = 0
    for (let at = 0; at < 5000; at++) {
      for (const guard of guards) while (guard.ask('a', 1).granted) granted++
      await clock.advance(1)
    }
    assert(granted >= 465 && granted <= 520, `${granted}`)
  })

  it('a lease on its way is no rate-limit hit', () => {
    const desk = new Desk({ sharedRate: { lease: () => new Promise(() => {}) } })
    assertEquals(desk.guard.ask('a', 1).granted, false)
    assertEquals(desk.guard.state.rateLimitHits, 0)
  })

  it('retune takes effect on the next ask, and says that more may go', () => {
    const desk = new Desk({ maxRps: 10, maxConcurrent: 2 })
    desk.permit()
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 100, isShared: true })
    desk.guard.retune({ maxRps: 1000 })
    desk.clock.tick(1)
    desk.permit()
    desk.clock.tick(100)
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: null, isShared: true })
    desk.guard.retune({ maxConcurrent: 3 })
    desk.permit()
    desk.guard.retune({ maxConcurrent: 1, emergencyThresholdMs: 10 })
    const { concurrency, thresholdMs, inFlight } = desk.guard.state
    assertEquals([concurrency, thresholdMs, inFlight, desk.freed], [1, 10, 3, 3])
  })

  it('retune keeps what was saved up, within what may be saved now', () => {
    const desk = new Desk({ maxRps: 100, maxConcurrent: 100 })
    desk.guard.retune({ maxRps: 50 })
    for (let at = 0; at < 5; at++) desk.permit()
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 20, isShared: true })
    desk.guard.retune({ maxRps: 1000 })
    assertEquals(desk.guard.ask('a', 1), { granted: false, retryInMs: 1, isShared: true })
  })
})
