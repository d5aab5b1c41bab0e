import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { Hono } from 'hono'
import type { Redis } from 'ioredis'
import { type CacheResponsesOptions, cacheResponses } from '../../src/adapters/hono.ts'
import { type CacheOptions, createCache } from '../../src/compose-cache.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

type Cache = Awaited<ReturnType<typeof createCache>>

describe('cacheResponses on a real cache', { timeout: 60_000 }, () => {
  let server: RedisServer
  let redis: Redis
  const caches: Cache[] = []
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(() => redis.flushall())
  after(async () => {
    await Promise.all(caches.map((cache) => cache.close()))
    redis.disconnect()
    await server.stop()
  })

  async function cacheOf(options: CacheOptions = {}): Promise<Cache> {
    // The first read of a process on a busy machine may take longer than the default allows.
    const cache = await createCache({ redis: server.url, env: {}, redisTimeout: '2s', ...options })
    caches.push(cache)
    return cache
  }

  /** An app on a cache of its own, as one process of several would have; `calls` counts what its handler answers. */
  async function appOf(options: CacheOptions = {}, more: Partial<CacheResponsesOptions> = {}, delayMs = 0) {
    const cache = await cacheOf(options)
    const calls = { count: 0 }
    const app = new Hono()
    app.get('/films/:id', cacheResponses({ cache, key: 'page:film:{id}', ttl: '1m', ...more }), async (c) => {
      calls.count++
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
      return c.json({ id: c.req.param('id'), call: calls.count })
    })
    const get = async (path = '/films/1') => {
      const response = await app.request(path)
      return { status: response.headers.get('cache-status') ?? '', body: await response.json() }
    }
    return { cache, calls, get }
  }

  it('answers from memory, and another process from Redis', async () => {
    const [one, two] = [await appOf(), await appOf()]
    assertEquals((await one.get()).status, 'prewarm; fwd=miss; stored')
    const hit = await one.get()
    assert(/^prewarm; hit; ttl=\d+; detail=memory$/.test(hit.status), hit.status)
    const other = await two.get()
    assert(/^prewarm; hit; ttl=\d+; detail=redis$/.test(other.status), other.status)
    assertEquals([hit.body, other.body, one.calls.count, two.calls.count], [hit.body, hit.body, 1, 0])
    const stored = JSON.parse((await redis.get('page:film:1')) ?? '')
    assertEquals([stored.status, stored.body], [200, '{"id":"1","call":1}'])
  })

  it('runs one handler of all processes, however many ask at once', async () => {
    const apps = await Promise.all([appOf({}, {}, 50), appOf({}, {}, 50), appOf({}, {}, 50)])
    const answers = await Promise.all(apps.flatMap(({ get }) => Array.from({ length: 50 }, () => get())))
    assertEquals(
      apps.reduce((sum, { calls }) => sum + calls.count, 0),
      1,
    )
    assertEquals(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1)
  })

  it('is invalidated by tag, by key, by prefix', async () => {
    const { cache, calls, get } = await appOf({}, { tags: (c) => [`film:${c.req.param('id')}`, 'films'] })
    await get()
    await get('/films/2')
    await cache.invalidateTags('film:1')
    assertEquals([(await get()).body.call, (await get('/films/2')).body.call], [3, 2])
    await cache.delete('page:film:1')
    assertEquals((await get()).body.call, 4)
    await cache.clear('page:')
    assertEquals([(await get('/films/2')).body.call, calls.count], [5, 5])
  })

  it('refreshes behind its answers', async () => {
    const { calls, get } = await appOf({ grace: '30s' }, { ttl: 400 })
    await get()
    await until(async () => (await get()).body.call > 1)
    await until(async () => (await get()).body.call > 2)
    assert(calls.count >= 3)
  })

  it('answers without Redis, and again with it', async () => {
    const own = await startRedisServer()
    const { get } = await appOf({ redis: own.url, memory: false, redisTimeout: 50 })
    await get()
    own.pause()
    try {
      const without = await get()
      assertEquals([without.body.call, without.status.includes('stored')], [2, false])
    } finally {
      own.resume()
    }
    await until(async () => (await get()).status.includes('hit'))
    await own.stop()
    assertEquals((await get()).body.id, '1')
  })

  it('answers late what takes longer than a load may', async () => {
    const { calls, get } = await appOf({ loadTimeout: 50 }, {}, 200)
    const late = await get()
    assertEquals([late.body.id, late.status, calls.count], ['1', 'prewarm; fwd=miss', 1])
  })

  it('caches nothing of a cache that is closed, and answers', async () => {
    const { cache, get } = await appOf()
    await cache.close()
    assertEquals([(await get()).body.call, (await get()).body.call], [1, 2])
  })
})
