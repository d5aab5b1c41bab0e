import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { backoffMs } from '../../src/origin/backoff.ts'
import { OriginGuard } from '../../src/origin/guard.ts'
import { FakeClock } from '../fakes/clock.ts'

describe('OriginGuard', () => {
  it('ask grants as many permits at once as it may, and one more for each that comes back', () => {
    const guard = new OriginGuard({ maxRps: 1000, maxConcurrent: 2, clock: new FakeClock() })
    const [first, second] = [guard.ask('a', 1), guard.ask('b', 1)]
    assert(first.granted && second.granted)
    assertEquals(guard.ask('a', 1), { granted: false, retryInMs: null, isShared: true })
    first.permit.release()
    first.permit.release()
    assert(guard.ask('a', 1).granted)
    assertEquals(guard.ask('a', 1).granted, false)
  })

  it('ask refuses above the rate, for all tasks alike, and tells when to ask again', () => {
    const clock = new FakeClock()
    const guard = new OriginGuard({ maxRps: 10, maxConcurrent: 100, clock })
    assert(guard.ask('a', 1).granted)
    assertEquals(guard.ask('b', 1), { granted: false, retryInMs: 100, isShared: true })
    clock.tick(100)
    assert(guard.ask('b', 1).granted)
  })

  it('ask holds only the task whose origin is down, then gives it up, then begins anew', async () => {
    const clock = new FakeClock()
    const guard = new OriginGuard({ maxRps: 1000, maxConcurrent: 100, clock })
    const failOnce = async () => {
      const permission = guard.ask('a', 1)
      assert(permission.granted)
      await permission.permit.breaker.run(
        async () => 'down',
        () => true,
      )
      permission.permit.release()
    }
    for (let at = 0; at < 5; at++) await failOnce()
    assertEquals(guard.ask('a', 1), { granted: false, retryInMs: 1000, isShared: false })
    assert(guard.ask('b', 1).granted)
    for (const pauseMs of [1000, 2000, 4000]) {
      clock.tick(pauseMs)
      await failOnce()
    }
    assertEquals(guard.ask('a', 1), { granted: false, gone: true })
    assert(guard.ask('a', 1).granted)
  })

  it('ask that is refused takes neither tokens nor a place', () => {
    const clock = new FakeClock()
    const guard = new OriginGuard({ maxRps: 10, maxConcurrent: 1, clock })
    const first = guard.ask('a', 1)
    assert(first.granted)
    for (let at = 0; at < 5; at++) guard.ask('a', 1)
    first.permit.release()
    clock.tick(100)
    assert(guard.ask('a', 1).granted)
  })
})

describe('backoffMs', () => {
  it('backoffMs doubles, with full jitter, up to 30 s', () => {
    assertEquals(
      [0, 1, 2, 10, 1000].map((attempt) => backoffMs(attempt, 100, () => 1)),
      [100, 200, 400, 30_000, 30_000],
    )
    assertEquals(
      backoffMs(3, 100, () => 0),
      0,
    )
    assertEquals(
      backoffMs(3, 100, () => 0.5),
      400,
    )
  })
})
