import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { createCache, createWarmer, defineConfig, load, PrewarmError } from '../../src/index.ts'
import { until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('the number of a database in a URL', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const configOf = (database: string) =>
    defineConfig({
      redis: `${server.url}/${database}`,
      tasks: {
        films: load({
          key: 'film:{id}',
          select: () => [1, 2, 3],
          load: (keys) => new Map(keys.map((key) => [key, key])),
        }),
      },
    })

  it('is where a run writes, where a cache reads and hears, and where reads are counted', TIMEOUT, async () => {
    const config = configOf('3')
    await using warmer = await createWarmer({ config, env: {}, service: true })
    await warmer.start()
    assertEquals((await warmer.submit().result).keys.written, 3)
    await using cache = await createCache({ warmer, redisTimeout: '5s' })
    await using other = await createCache({ config, env: {}, redisTimeout: '5s' })
    assertEquals((await cache.read('film:1')).tier, 'redis')
    assertEquals((await cache.read('film:1')).tier, 'memory')
    await other.set('film:1', 'new')
    await until(async () => (await cache.get('film:1')) === 'new')
    await warmer.gain.flush()
    await redis.select(3)
    assert((await redis.keys('prewarm:gain:*')).length > 0)
    await redis.select(0)
    assertEquals(await redis.dbsize(), 0)
  })

  it('that the server has not is refused, and nothing goes anywhere else', TIMEOUT, async () => {
    for (const database of ['99', 'films']) {
      await using warmer = await createWarmer({ config: configOf(database), env: {} })
      const error = await assertRejects(() => warmer.start(), PrewarmError, 'as in /0')
      assertEquals(error.code, 'STORE_UNREACHABLE')
      await assertRejects(() => warmer.commands.call('SET', 'k', 'v'), PrewarmError, 'no such database')
      await using cache = await createCache({ config: configOf(database), env: {} })
      assertEquals((await cache.read('film:1')).tier, 'origin')
    }
    assertEquals(await redis.dbsize(), 0)
  })
})
