import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { READERS_KEY } from '../../src/gain/buckets.ts'
import { createWarmer, load, type WarmerOptions } from '../../src/index.ts'
import { told } from '../gain/support.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('what a warmer tells of its gain', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(async () => {
    await redis.flushall()
    // An application reads through a cache.
    await redis.set(READERS_KEY, 1)
  })
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  const warmerOf = (more: Partial<WarmerOptions> = {}) => {
    const keys = Array.from({ length: 120 }, (_, id) => `k:${id}`)
    const docs = load({
      key: 'k:{id}',
      ttl: '5m',
      select: () => keys,
      load: (ids) => new Map(ids.map((id) => [id, id])),
    })
    return createWarmer({
      env: {},
      config: { redis: server.url, tasks: { docs } },
      ...more,
    })
  }
  const warmedInRedis = async () => {
    let sum = 0
    for (const key of await redis.keys('prewarm:gain:warmed:*')) sum += Number(await redis.hget(key, 'docs'))
    return sum
  }

  it('is told by a plain run, by the time it has stopped', TIMEOUT, async () => {
    const warmer = await warmerOf()
    const { status } = await warmer.submit().result
    await warmer.stop()
    assertEquals([status, await warmedInRedis()], ['success', 120])
  })

  it('goes by the job’s own TTL', TIMEOUT, async () => {
    const warmer = await warmerOf()
    await warmer.submit({ ttlMs: 23 * 3_600_000 }).result
    await warmer.stop()
    const buckets = (await redis.keys('prewarm:gain:warmed:*')).map((key) => Number(key.split(':').at(-1)))
    assert(Math.min(...buckets) * 600_000 > Date.now() + 20 * 3_600_000, `${buckets}`)
    assertEquals(await warmedInRedis(), 120)
  })

  it('is a service’s too, with its pool and its readers', TIMEOUT, async () => {
    const warmer = await warmerOf({ service: true })
    assertEquals(warmer.getCacheWarmingStats().cache.hitRate, null)
    await warmer.start()
    await warmer.submit().result
    for (let n = 0; n < 90; n++)
      warmer.gain.read(
        told({
          key: `k:${n}`,
          keyspace: 'docs',
          expiresAtMs: Date.now() + 200_000,
        }),
      )
    for (let n = 0; n < 10; n++) warmer.recordRead({ key: `k:${n}`, tier: 'origin' })
    const { cache, pool, config } = warmer.getCacheWarmingStats()
    assertEquals([cache.enabled, cache.hitRate, cache.hits, cache.misses, cache.ttl], [true, 0.9, 90, 10, 3600])
    assertEquals([pool?.pending, config.batchSize], [0, 50])
    const { live, jobs, efficiency_score } = await warmer.getWarmingPerformance()
    assertEquals([jobs, efficiency_score], [1, null])
    assertEquals(live.keys_warmed, 120)
    assert(Math.abs(live.keys_read - 90) <= 2, `${live.keys_read}`)
    const { text } = await warmer.metrics()
    assert(text.includes('cache_hits_total{tier="redis",filled_by="warm"} 90'))
    await warmer.stop()
    assertEquals(warmer.getCacheWarmingStats().cache.enabled, false)
  })
})
