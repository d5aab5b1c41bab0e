import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { BunCacheWarmer, performance } from '../../src/compose-warming.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { createWarmer, defineConfig, load, PrewarmError } from '../../src/index.ts'
import { createCacheWarmer } from '../../src/warming/cache-warmer.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('the faces that programs warm by', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  it('BunCacheWarmer runs tasks by priority and stores what they give', TIMEOUT, async () => {
    const warmer = new BunCacheWarmer({ redis: server.url, env: {} })
    const order: string[] = []
    warmer.addTask({
      name: 'recent orders',
      priority: 10,
      execute: () => {
        order.push('recent orders')
      },
    })
    warmer.addTask({
      name: 'top-users',
      priority: 100,
      ttl: '5m',
      async execute() {
        order.push('top-users')
        return [{ id: 1 }, { id: 2 }]
      },
    })
    warmer.addTask({
      name: 'broken',
      priority: 50,
      execute() {
        order.push('broken')
        throw new Error('no such table')
      },
    })
    const results = await warmer.executeTasks(1)
    assertEquals(order, ['top-users', 'broken', 'recent orders'])
    assertEquals(
      results.map(({ name, status }) => [name, status]),
      [
        ['top-users', 'fulfilled'],
        ['broken', 'rejected'],
        ['recent orders', 'fulfilled'],
      ],
    )
    assert(results.every(({ durationNs }) => durationNs > 0))
    assertEquals(JSON.parse((await redis.get('warmup:top-users')) ?? ''), [{ id: 1 }, { id: 2 }])
    const leftMs = await redis.pttl('warmup:top-users')
    assert(leftMs > 250_000 && leftMs <= 300_000, `${leftMs} ms`)
    assertEquals(JSON.parse((await redis.get('warmup:recent orders')) ?? '').task, 'recent orders')
    assertEquals((await redis.keys('warmup:*')).sort(), ['warmup:recent orders', 'warmup:top-users'])
    assertEquals(Object.keys(warmer.performance.summary()), ['top-users', 'broken', 'recent orders'])
    // Its connections end with the call.
    await until(async () => (await clients(redis)).length === 1)
  })

  it(
    'BunCacheWarmer takes REDIS_URL, else an embedded Redis, and says for each task that Redis is away',
    TIMEOUT,
    async () => {
      const there = new BunCacheWarmer({ env: { REDIS_URL: server.url } })
      there.addTask({ name: 'one', execute: () => 1 })
      assertEquals((await there.executeTasks(4))[0]?.status, 'fulfilled')
      assertEquals(await redis.get('warmup:one'), '1')
      const notices: string[] = []
      const nowhere = new BunCacheWarmer({ env: {}, onNotice: (text) => notices.push(text) })
      nowhere.addTask({ name: 'one', execute: () => 1 })
      assertEquals([(await nowhere.executeTasks())[0]?.status, notices.length], ['fulfilled', 1])
      let calls = 0
      const away = new BunCacheWarmer({ redis: 'redis://127.0.0.1:1', env: {} })
      away.addTask({ name: 'one', execute: () => ++calls })
      const [one] = await away.executeTasks()
      assertEquals([one?.status === 'rejected' && one.error.code, calls], ['STORE_UNREACHABLE', 0])
      const wrong = new BunCacheWarmer({ redis: 'http://127.0.0.1', env: {} })
      wrong.addTask({ name: 'one', execute: () => 1 })
      const error = await assertRejects(() => wrong.executeTasks(), PrewarmError)
      assertEquals(error.code, 'CONFIG_INVALID')
    },
  )

  it('performance.measure tells of any function', TIMEOUT, async () => {
    performance.reset()
    assertEquals(await performance.measure('ping', () => redis.ping()), 'PONG')
    assertEquals(
      performance.measure('sum', () => 1 + 1),
      2,
    )
    const { ping, sum } = performance.summary()
    assertEquals([ping?.count, sum?.count], [1, 1])
    assert((ping?.maxNs ?? 0) > 0 && (ping?.p50Ns ?? 0) <= (ping?.maxNs ?? 0))
  })

  const shop = (isAway = () => false) =>
    createWarmer({
      redisUrl: server.url,
      env: {},
      config: defineConfig({
        startup: { delayMs: 0 },
        retryAttempts: 0,
        tasks: {
          films: load({
            key: 'film:{id}',
            tags: ['catalog'],
            params: { from: 1 },
            select: ({ params }) => [1, 2, 3].map((id) => id + params.from),
            load: (keys) => (isAway() ? fail() : new Map(keys.map((key) => [key, { key }]))),
          }),
          rates: load({ key: 'rate:{id}', select: () => ['eur'], load: () => fail() }),
        },
      }),
    })

  it('cacheWarmer.warmCache runs a job to its end and remembers it', TIMEOUT, async () => {
    await using warmer = await shop()
    const cacheWarmer = createCacheWarmer({ warmer })
    const films = await cacheWarmer.warmCache({ tags: ['catalog'], params: { from: 5 }, limit: 2, timeout: '30s' })
    assertEquals([films.status, films.keys, films.errors, films.firstError], ['success', 2, 0, null])
    assertEquals((await redis.keys('film:*')).sort(), ['film:6', 'film:7'])
    assertEquals(cacheWarmer.lastMetrics, films)
    const one = await cacheWarmer.warmCache({ keys: ['film:9'] })
    assertEquals([one.keys, await redis.exists('film:9')], [1, 1])
    const both = await Promise.all([
      cacheWarmer.warmCache({ tasks: ['films'] }),
      cacheWarmer.warmCache({ tasks: ['rates'] }),
    ])
    assertEquals(
      both.map(({ status, keys, errors }) => [status, keys, errors]),
      [
        ['success', 3, 0],
        ['failed', 0, 1],
      ],
    )
    assertEquals(both[1].firstError?.code, 'ORIGIN_FAILED')
    assertEquals(cacheWarmer.lastMetrics?.jobId, both[1].jobId)
    const refused = await assertRejects(() => cacheWarmer.warmCache({ tasks: ['books'] }), PrewarmError)
    assertEquals([refused.code, cacheWarmer.lastMetrics?.jobId], ['TASK_UNKNOWN', both[1].jobId])
  })

  it('cacheWarmer.warmOnStartup warms once, and leaves it to whoever does already', TIMEOUT, async () => {
    await using warmer = await shop()
    await using other = await shop()
    const lock = await new RedisLocks({ commands: other.commands, clock: other.clock }).acquire(
      'warmup',
      'f'.repeat(32),
    )
    assert(lock.held)
    const skipped = await createCacheWarmer({ warmer }).warmOnStartup()
    assertEquals([skipped.status, skipped.jobId, (await redis.keys('film:*')).length], ['skipped', null, 0])
    await lock.lock.release()
    const cacheWarmer = createCacheWarmer({ warmer })
    const [metrics, again] = await Promise.all([cacheWarmer.warmOnStartup(), cacheWarmer.warmOnStartup()])
    assertEquals([metrics.status, metrics.keys, metrics.errors], ['partial', 3, 1])
    assertEquals([again, cacheWarmer.lastMetrics], [metrics, metrics])
  })
})

async function clients(redis: Redis): Promise<string[]> {
  const list = (await redis.client('LIST')) as string
  return list.trim().split('\n')
}

function fail(): never {
  throw new Error('no rates today')
}
