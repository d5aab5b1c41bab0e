import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { type Grant, MemoryGuard, type MemoryState } from '../../src/store/memory-guard.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { checkAsync } from '../support/property.ts'

/** A guard beside a Redis that a test plays. */
function guarded(more: Partial<MemoryState> = {}, reserve = 0.1) {
  const clock = new FakeClock()
  const redis = { usedMemoryBytes: 0, maxMemoryBytes: 1000, evictionPolicy: 'allkeys-lru', evictedKeys: 0, ...more }
  const log = { asked: 0, changes: 0, warnings: [] as string[] }
  const world = { clock, redis, log, answer: async (): Promise<MemoryState> => ({ ...redis }) }
  const guard = new MemoryGuard({
    ask() {
      log.asked++
      return world.answer()
    },
    clock,
    reserve: () => reserve,
    onChange: () => void log.changes++,
    onWarning: (text) => log.warnings.push(text),
  })
  return Object.assign(world, { guard })
}

type Step = { kind: 'want'; bytes: number } | { kind: 'write'; which: number } | { kind: 'answer' } | { kind: 'wait' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('want' as const), bytes: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), which: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.constant<Step>({ kind: 'answer' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'wait' }) },
)

describe('MemoryGuard', () => {
  it('guard never grants more than there is, whenever Redis answers and whenever what was granted is written', async () => {
    const property = fc.asyncProperty(fc.nat(900), fc.array(step, { maxLength: 80 }), async (used, steps) => {
      const world = guarded({ usedMemoryBytes: used })
      const { guard, redis, clock } = world
      const answers: (() => void)[] = []
      world.answer = () => new Promise((resolve) => answers.push(() => resolve({ ...redis })))
      const grants: { grant: Grant; bytes: number }[] = []
      const granted = () => grants.reduce((sum, { bytes }) => sum + bytes, 0)
      void guard.begin()
      for (const one of steps) {
        if (one.kind === 'wait') clock.tick(300)
        else if (one.kind === 'answer') {
          for (const tell of answers.splice(0)) tell()
          await turn()
        } else if (one.kind === 'write') {
          for (const { grant, bytes } of grants.splice(one.which % (grants.length || 1), 1)) {
            redis.usedMemoryBytes += bytes
            grant.settle(bytes)
          }
        } else {
          const room = guard.room(one.bytes)
          if (room === 'granted') grants.push({ grant: guard.take(one.bytes), bytes: one.bytes })
          // Whoever waits is told, by Redis or by the end of a batch.
          if (room === 'wait') assert(answers.length > 0 || grants.length > 0, 'nothing would end the wait')
        }
        assert(redis.usedMemoryBytes + granted() <= 900, `${redis.usedMemoryBytes} and ${granted()}`)
      }
    })
    await checkAsync(property, 500)
  })

  it('guard asks again when an answer has grown old, also where the wall clock has been put back', async () => {
    const { guard, clock, log, redis } = guarded()
    const startMs = clock.nowMs()
    clock.nowMs = () => startMs - clock.elapsedMs
    await guard.begin()
    redis.usedMemoryBytes = 1000
    clock.tick(1000)
    assertEquals([guard.room(10), log.asked], ['granted', 2])
    await turn()
    assertEquals(guard.room(10), 'full')
    guard.take(10)
    clock.tick(5000)
    assertEquals(guard.activeMs, 5000)
  })

  it('guard asks a handful of times while an empty Redis is filled, and says when it is full', async () => {
    const { guard, redis, log } = guarded({ maxMemoryBytes: 1_000_000 })
    await guard.begin()
    let written = 0
    for (let at = 0; at < 2000; at++) {
      const room = guard.room(1000)
      if (room === 'full') break
      if (room === 'wait') {
        await turn()
        continue
      }
      const grant = guard.take(1000)
      redis.usedMemoryBytes += 1000
      written += 1000
      grant.settle(1000)
    }
    assertEquals(written, 900_000)
    assertEquals(guard.room(1000), 'full')
    assert(log.asked < 20, `asked ${log.asked} times`)
  })

  it('guard leaves Redis without a bound alone: one question for each job', async () => {
    const { guard, log } = guarded({ maxMemoryBytes: 0 })
    assertEquals(guard.room(1), 'wait')
    await guard.begin()
    for (let at = 0; at < 1000; at++) {
      assertEquals(guard.room(1e9), 'granted')
      guard.take(1e9).settle()
    }
    assertEquals([log.asked, guard.isBounded], [1, false])
    void guard.begin()
    assertEquals(guard.room(1), 'wait')
    await turn()
    assertEquals([guard.room(1), log.asked], ['granted', 2])
  })

  it('guard sees a bound that was set since the job before', async () => {
    const { guard, redis } = guarded({ maxMemoryBytes: 0 })
    await guard.begin()
    Object.assign(redis, { maxMemoryBytes: 1000, usedMemoryBytes: 1000 })
    await guard.begin()
    assertEquals(guard.room(1), 'full')
  })

  it('guard stops while keys are dropped although there seemed to be room, and goes on when that ends', async () => {
    const { guard, redis, clock } = guarded({ maxMemoryBytes: 10_000 })
    await guard.begin()
    assertEquals(guard.room(10), 'granted')
    redis.evictedKeys = 5
    clock.tick(1000)
    guard.room(10)
    await turn()
    assertEquals(guard.room(10), 'full')
    clock.tick(250)
    guard.room(10)
    await turn()
    assertEquals(guard.room(10), 'granted')
  })

  it('guard asks again after 250 ms near the limit, after a second far from it', async () => {
    for (const [usedMemoryBytes, early, late] of [
      [850, 249, 250],
      [100, 999, 1000],
    ] as const) {
      const { guard, log, clock } = guarded({ usedMemoryBytes })
      await guard.begin()
      clock.tick(early)
      guard.room(1)
      assertEquals(log.asked, 1)
      clock.tick(late - early)
      guard.room(1)
      assertEquals(log.asked, 2)
    }
  })

  it('guard asks again once nothing is on its way, also where bytes are fractions', async () => {
    const { guard, redis, log } = guarded()
    await guard.begin()
    const grants = [100.1, 50.7, 0.3].map((bytes) => guard.take(bytes))
    // This answer may not know of any of them.
    Object.assign(redis, { usedMemoryBytes: 700 })
    await guard.refresh()
    assertEquals(guard.room(100), 'wait')
    for (const grant of grants) grant.settle()
    const before = log.asked
    assertEquals(guard.room(100), 'wait')
    assertEquals(log.asked, before + 1)
    await guard.refresh()
    assertEquals(guard.room(100), 'granted')
  })

  it('guard counts what is larger than was thought', async () => {
    const { guard } = guarded()
    await guard.begin()
    guard.take(10).settle(440)
    assertEquals(guard.room(20), 'wait')
  })

  it('guard lets everything pass where INFO is forbidden, and says so once', async () => {
    const forbidden = guarded()
    forbidden.answer = () => Promise.reject(new PrewarmError('STORE_REFUSED', 'Redis refused INFO: NOPERM'))
    await forbidden.guard.begin()
    await forbidden.guard.begin()
    assertEquals([forbidden.guard.room(1e9), forbidden.guard.isBounded], ['granted', false])
    assertEquals(forbidden.log.warnings.length, 1)
    assert(forbidden.log.warnings[0]?.includes('NOPERM'))
  })

  it('guard lets one batch at a time find out why Redis does not answer, and never waits longer than 2 s', async () => {
    const world = guarded()
    world.answer = () => new Promise(() => {})
    void world.guard.begin()
    await world.clock.advance(1999)
    assertEquals([world.guard.room(1), world.log.changes], ['wait', 0])
    await world.clock.advance(1)
    assertEquals([world.guard.room(1e9), world.log.changes], ['granted', 1])
    const grant = world.guard.take(1e9)
    assertEquals(world.guard.room(1), 'wait')
    await world.clock.advance(2000)
    grant.settle()
    assertEquals([world.guard.room(1), world.clock.pending], ['granted', 0])
    world.answer = async () => ({ ...world.redis, usedMemoryBytes: 1000 })
    world.guard.take(1).settle()
    world.guard.room(1)
    await turn()
    assertEquals(world.guard.room(1), 'full')
  })

  it('guard warns once of a policy that drops what was just warmed', async () => {
    const { guard, log } = guarded({ evictionPolicy: 'volatile-ttl' })
    await guard.begin()
    await guard.begin()
    assertEquals(log.warnings.length, 1)
  })

  it('activeMs tells how long grants go on, at most five minutes', async () => {
    const { guard, clock } = guarded()
    assertEquals(guard.activeMs, 0)
    await guard.begin()
    guard.take(1)
    clock.tick(10_000)
    assertEquals(guard.activeMs, 10_000)
    clock.tick(290_000)
    guard.take(1)
    clock.tick(200_000)
    assertEquals(guard.activeMs, 300_000)
    clock.tick(100_001)
    assertEquals(guard.activeMs, 0)
  })
})
