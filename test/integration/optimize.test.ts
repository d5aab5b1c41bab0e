import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { COSTS_KEY } from '../../src/gain/costs.ts'
import { createWarmer, load, type PrewarmError, type Warmer } from '../../src/index.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { recordReads } from '../optimize/recorded.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const MINUTE = 60_000

describe('schedules that tune themselves, on a real Redis', () => {
  const clock = systemClock(currentRuntime().nowNs)
  let server: RedisServer
  let redis: Redis
  let commands: RedisCommands
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    commands = new RedisCommands({ url: server.url, clock })
  })
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await commands.close()
    await server.stop()
  })

  /** Warms 40 keys that live five minutes every hour, and 10 that live long enough. */
  const warmerOf = (service = false) => {
    const of = (name: string, count: number, ttl: string) =>
      load({
        key: `${name}:{id}`,
        ttl,
        select: () => Array.from({ length: count }, (_, id) => `${name}:${id}`),
        load: (ids) => new Map(ids.map((id) => [id, { id }])),
      })
    const tasks = { docs: of('doc', 40, '5m'), lists: of('list', 10, '2h') }
    const schedules = { hourly: { cron: '0 * * * *', tasks: ['docs', 'lists'] } }
    return createWarmer({ env: {}, service, config: { redis: server.url, tasks, schedules } })
  }
  const using = async <T>(work: (warmer: Warmer) => Promise<T>, service = false): Promise<T> => {
    const warmer = await warmerOf(service)
    try {
      return await work(warmer)
    } finally {
      await warmer.stop()
    }
  }
  const reads = (count: number, key = 'doc', each = 30) =>
    recordReads(
      { commands, clock },
      Array.from({ length: count }, (_, id) => `${key}:${id}`),
      each,
    )
  const stateOf = async (warmer: Warmer) =>
    (await warmer.schedules.list()).map(({ name, paused, spec }) => [name, paused, spec.intervalMs ?? spec.cron])

  it('says what is missing where nothing is known', TIMEOUT, async () => {
    const { changes, unchanged, applied } = await using((warmer) => warmer.optimizeSchedules())
    assertEquals([changes, applied], [[], null])
    assertEquals(
      unchanged.map(({ reason }) => reason),
      ['docs', 'lists'].map(() => 'no read of its keys is known: it takes 100 to judge'),
    )
    assertEquals(await redis.keys('*'), [])
  })

  it('proposes, applies, runs and takes back', TIMEOUT, async () => {
    await reads(40)
    await using(async (service) => {
      await service.start()
      const before = await stateOf(service)
      assertEquals(before, [['hourly', false, '0 * * * *']])
      // What it costs and how much a run warms is known from here on.
      await (await service.schedules.runNow('hourly')).result

      const proposed = await using((other) => other.optimizeSchedules())
      const [change] = proposed.changes
      assertEquals(
        [proposed.tasksOptimized, change?.task, change?.schedule, change?.field, change?.from, change?.to],
        [1, 'docs', 'hourly', 'interval', 60 * MINUTE, 4 * MINUTE],
      )
      const [expected] = proposed.expected
      assertEquals(expected?.hitRate.to, 1)
      // Fifteen runs an hour: one request lists the keys, one loads all 40.
      assertEquals(expected?.originRequestsPerHour.to, 30)
      assert((expected?.originMsPerHour?.from ?? 0) > 0)
      assertEquals(await stateOf(service), before)

      const { applied } = await using((other) => other.optimizeSchedules({ apply: true }))
      assertEquals(applied, {
        added: ['optimized-docs', 'optimized--hourly'],
        removed: [],
        paused: ['hourly'],
        resumed: [],
      })
      assertEquals(await stateOf(service), [
        ['hourly', true, '0 * * * *'],
        ['optimized--hourly', false, '0 * * * *'],
        ['optimized-docs', false, 4 * MINUTE],
      ])
      const view = (await service.schedules.list()).find(({ name }) => name === 'optimized-docs')
      assert(Date.parse(view?.nextRunAt ?? '') - Date.now() <= 4 * MINUTE)
      await redis.del('doc:0', 'list:0')
      const { status, keys } = await (await service.schedules.runNow('optimized-docs')).result
      assertEquals([status, keys.written, await redis.exists('doc:0', 'list:0')], ['success', 40, 1])

      // It is in force: nothing more is proposed, and applying again changes nothing.
      const again = await using((other) => other.optimizeSchedules({ apply: true }))
      assertEquals([again.changes, again.applied?.added], [[], []])

      const reverted = await using((other) => other.optimizeSchedules({ revert: true }))
      assertEquals(reverted.applied?.resumed, ['hourly'])
      assertEquals(await stateOf(service), before)
    }, true)
  })

  it('cuts off what is never read, and survives a restart', TIMEOUT, async () => {
    await reads(4, 'list', 100)
    await using(async (service) => {
      await service.start()
      await (await service.schedules.runNow('hourly')).result
    }, true)
    const { changes } = await using((warmer) => warmer.optimizeSchedules({ apply: true }))
    assertEquals(
      changes.map(({ task, field, to }) => [task, field, to]),
      [['lists', 'limit', 4]],
    )
    await using(async (service) => {
      await service.start()
      const { keys } = await (await service.schedules.runNow('optimized-lists')).result
      assertEquals(keys.planned, 4)
    }, true)
    assertEquals((await using((warmer) => warmer.optimizeSchedules())).changes, [])
  })

  it('is done by one at a time', TIMEOUT, async () => {
    await reads(40)
    const attempt = await new RedisLocks({ commands, clock }).acquire('optimize:schedules', 'somebody')
    assert(attempt.held)
    await using(async (warmer) => {
      const error = await assertRejects(() => warmer.optimizeSchedules({ apply: true }))
      assertEquals((error as PrewarmError).code, 'CONFLICT')
      // Looking disturbs nobody.
      assertEquals((await warmer.optimizeSchedules()).tasksOptimized, 1)
    })
    await attempt.lock.release()
  })

  it('refuses both at once, and fails where Redis is away', TIMEOUT, async () => {
    await using(async (warmer) => {
      const both = await assertRejects(() => warmer.optimizeSchedules({ apply: true, revert: true }))
      assertEquals((both as PrewarmError).code, 'USAGE')
    })
    const away = await createWarmer({ env: {}, config: { redis: 'redis://127.0.0.1:1', tasks: {} } })
    const error = await assertRejects(() => away.optimizeSchedules())
    assertEquals((error as PrewarmError).code, 'STORE_UNREACHABLE')
    await away.stop()
  })

  it('leaves no key behind what a run costs, unless somebody tells of reads', TIMEOUT, async () => {
    await using(async (warmer) => {
      await warmer.submit({ tasks: ['lists'] }).result
    })
    assertEquals(
      (await redis.keys('*')).filter((key) => !key.startsWith('list:')),
      [],
    )
    await reads(1)
    await using(async (warmer) => {
      await warmer.submit({ tasks: ['lists'] }).result
    })
    const { keys, ms, sized, bytes } = JSON.parse((await redis.hget(COSTS_KEY, 'lists')) ?? '{}')
    assertEquals([keys, sized], [10, 10])
    assert(ms > 0 && ms < 60_000 && bytes > 0, JSON.stringify({ ms, bytes }))
    assert((await redis.pttl(COSTS_KEY)) > 0)
  })
})
