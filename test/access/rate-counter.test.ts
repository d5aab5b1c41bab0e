import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { MemoryRateCounter } from '../../src/coordination/memory-rate.ts'
import { RedisRateCounter, sharedRateCounter } from '../../src/coordination/rate-counter.ts'
import { PrewarmError } from '../../src/errors.ts'
import { rateCounterContract } from '../contract/rate-counter.contract.ts'
import { FakeClock } from '../fakes/clock.ts'

const LIMIT = { max: 2, windowMs: 60_000 }

rateCounterContract(
  'MemoryRateCounter',
  () => {
    const clock = new FakeClock()
    return { clock, counter: new MemoryRateCounter(clock) }
  },
  { runs: 200 },
)

/** A Redis that answers, refuses or is away. */
function fakeRedis(clock: FakeClock) {
  const counter = new MemoryRateCounter(clock)
  const redis = {
    isAway: false,
    calls: 0,
    async script(_: unknown, [key]: readonly string[], [max, windowMs]: readonly (string | number)[]) {
      redis.calls++
      if (redis.isAway) throw new PrewarmError('STORE_UNREACHABLE', 'away')
      const limit = { max: Number(max), windowMs: Number(windowMs) }
      const { allowed, remaining, retryInMs, resetInMs } = await counter.take(key as string, limit)
      return [allowed ? 1 : 0, limit.max - remaining, retryInMs, resetInMs]
    },
  }
  return redis
}

rateCounterContract(
  'sharedRateCounter, with Redis',
  () => {
    const clock = new FakeClock()
    return { clock, counter: sharedRateCounter(fakeRedis(clock), clock) }
  },
  { runs: 100 },
)

rateCounterContract(
  'sharedRateCounter, without Redis',
  () => {
    const clock = new FakeClock()
    const redis = fakeRedis(clock)
    redis.isAway = true
    return { clock, counter: sharedRateCounter(redis, clock) }
  },
  { runs: 100 },
)

describe('MemoryRateCounter', () => {
  it('forgets the subjects not seen for longest', async () => {
    const counter = new MemoryRateCounter(new FakeClock(), 2)
    const passed: boolean[] = []
    for (const subject of ['a', 'b', 'a', 'c', 'a', 'b']) {
      passed.push((await counter.take(subject, { max: 1, windowMs: 60_000 })).allowed)
    }
    assertEquals(passed, [true, true, false, true, false, true])
  })
})

describe('sharedRateCounter', () => {
  const setUp = () => {
    const clock = new FakeClock()
    const redis = fakeRedis(clock)
    return { clock, redis, counter: sharedRateCounter(redis, clock) }
  }
  const passes = async (counter: ReturnType<typeof setUp>['counter'], subject = 's') =>
    (await counter.take(subject, LIMIT)).allowed

  it('gives nobody a fresh limit when Redis goes', async () => {
    const { redis, counter } = setUp()
    assertEquals([await passes(counter), await passes(counter)], [true, true])
    redis.isAway = true
    assertEquals([await passes(counter), await passes(counter, 'new')], [false, true])
  })

  it('asks Redis again a second after it has failed', async () => {
    const { clock, redis, counter } = setUp()
    redis.isAway = true
    await passes(counter, 'a')
    await passes(counter, 'b')
    assertEquals(redis.calls, 1)
    redis.isAway = false
    clock.tick(999)
    await passes(counter, 'c')
    assertEquals(redis.calls, 1)
    clock.tick(1)
    await passes(counter, 'd')
    await passes(counter, 'e')
    assertEquals(redis.calls, 3)
  })

  it('goes by what other instances have taken', async () => {
    const { clock, redis, counter } = setUp()
    const other = sharedRateCounter(redis, clock)
    assertEquals(
      [await passes(counter), await passes(other), await passes(counter), await passes(other)],
      [true, true, false, false],
    )
  })

  it('does not trouble Redis with what it would refuse', async () => {
    const { redis, counter } = setUp()
    for (let n = 0; n < 100; n++) await passes(counter)
    assertEquals(redis.calls, 2)
  })

  it('takes an answer that is none for Redis being away', async () => {
    for (const answer of [null, 'OK', [], [1, 1], ['x', 1, 1, 1], { 0: 1 }]) {
      const commands = { script: async () => answer }
      const counter = sharedRateCounter(commands, new FakeClock())
      assertEquals([await passes(counter), await passes(counter), await passes(counter)], [true, true, false])
      const error = await new RedisRateCounter(commands).take('s', LIMIT).catch((thrown) => thrown)
      assertEquals(error.code, 'STORE_REFUSED')
    }
  })
})
