import { after, afterEach, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { type ConfigDefinition, http, load, sql } from '../../src/index.ts'
import { type CountingOrigin, startCountingOrigin } from '../support/counting-origin.ts'
import { cacheDesk } from '../support/public-cache.ts'
import { runJob, type Servers, startServers, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('createCache reads what the warmer writes', () => {
  let servers: Servers
  let origin: CountingOrigin
  let config: ConfigDefinition
  let loaded: string[]
  const desk = cacheDesk(() => servers.urls.redisUrl)
  before(async () => {
    servers = await startServers()
    origin = await startCountingOrigin(() => ({}))
    await servers.sql`create table film (id int primary key, title text, rate numeric, made timestamptz)`
    await servers.sql`insert into film select n, 'Film ' || n, n + 0.50, '2024-05-01 10:00:00+00' from generate_series(1, 20) n`
    const ten = () => [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    const noted = (keys: string[]) => loaded.push(...keys)
    config = {
      redis: servers.urls.redisUrl,
      database: servers.urls.databaseUrl,
      maxOriginRps: 100_000,
      tasks: {
        films: sql({
          ...{ key: 'film:{id}', value: 'hash', ttl: '1h' },
          query: 'select id, title, rate, nullif(id, 2) as perhaps from film where id <= 10 or id > 15',
        }),
        shown: sql({ key: 'shown:{id}', value: 'json', query: 'select id, title, made from film where id <= 10' }),
        titles: sql({
          key: 'title:{id}',
          value: { column: 'title' },
          query: 'select id, title from film where id <= 10',
        }),
        sessions: load({
          ...{ key: 'session:{token}', select: ten },
          load: (keys) => {
            noted(keys)
            return keys.map((key) => (key.endsWith(':none') ? null : { user: key, tags: ['a'] }))
          },
        }),
        plain: load({
          ...{ key: 'plain:{n}', value: 'string', select: ten },
          load: (keys) => {
            noted(keys)
            return new Map(keys.map((key) => [key, `text of ${key}`]))
          },
        }),
        carts: load({
          ...{ key: 'cart:{n}', value: 'hash', select: ten },
          load: (keys) => {
            noted(keys)
            return keys.map((key) => ({ owner: key, items: 3 }))
          },
        }),
        cities: http({
          key: 'city:{id}',
          url: `${origin.url}/city/{id}`,
          pointer: '/path',
          value: 'string',
          select: ten,
        }),
        towns: http({ key: 'town:{id}', url: `${origin.url}/town/{id}`, select: ten }),
      },
    }
  }, TIMEOUT)
  afterEach(async () => {
    await desk.closeAll()
    await servers.redis.flushall()
    await servers.sql`alter table if exists film_away rename to film`
  }, TIMEOUT)
  after(async () => {
    await origin.stop()
    await servers.stop()
  }, TIMEOUT)

  const MADE = '2024-05-01T10:00:00.000Z'
  const VALUES: Record<string, unknown> = {
    'film:1': { id: '1', title: 'Film 1', rate: '1.50', perhaps: '1' },
    'film:2': { id: '2', title: 'Film 2', rate: '2.50' },
    'shown:3': { id: 3, title: 'Film 3', made: MADE },
    'title:4': 'Film 4',
    'session:5': { user: 'session:5', tags: ['a'] },
    'plain:6': 'text of plain:6',
    'cart:7': { owner: 'cart:7', items: '3' },
    'city:8': '/city/8',
    'town:9': { path: '/town/9' },
  }
  /** From here on no origin is asked without its being noticed. */
  const closeOrigins = async () => {
    loaded = []
    await servers.sql`alter table film rename to film_away`
    return origin.cameMs.length
  }

  it('as hits that warming has filled, in every form, without a loader', TIMEOUT, async () => {
    loaded = []
    const job = await runJob({ config, ...servers.urls })
    assertEquals([job.status, job.keys.written], ['success', 15 + 10 * 7])
    const asked = await closeOrigins()
    const cache = await desk.open({ config })
    for (const [key, value] of Object.entries(VALUES)) {
      const first = await cache.read(key)
      assertEquals([first.value, first.tier, first.status, first.filledBy], [value, 'redis', 'hit', 'warm'], key)
      assert(first.ttlMs > 3_000_000 && first.ttlMs <= 3_600_000, `${key} is fresh for ${first.ttlMs} ms`)
      const second = await cache.read(key)
      assertEquals([second.value, second.tier, second.filledBy], [value, 'memory', 'warm'], key)
    }
    const another = await desk.open({ config })
    assertEquals(Object.fromEntries(await another.getMany(Object.keys(VALUES))), VALUES)
    assertEquals([loaded, origin.cameMs.length], [[], asked])
  })

  it('and what was not warmed by the keyspace itself, in the same form, for all to read', TIMEOUT, async () => {
    loaded = []
    const cache = await desk.open({ config })
    for (const [key, value] of Object.entries(VALUES)) {
      const first = await cache.read(key)
      assertEquals([first.value, first.tier, first.status], [value, 'origin', 'miss'], key)
    }
    assertEquals(loaded, ['session:5', 'plain:6', 'cart:7'])
    const asked = await closeOrigins()
    const another = await desk.open({ config })
    for (const [key, value] of Object.entries(VALUES)) {
      const { tier, status, filledBy, ...found } = await another.read(key)
      assertEquals([found.value, tier, status, filledBy], [value, 'redis', 'hit', 'read'], key)
    }
    assertEquals([loaded, origin.cameMs.length], [[], asked])
  })

  it('getMany asks each keyspace once for all that is in no layer', TIMEOUT, async () => {
    loaded = []
    await runJob({ config, ...servers.urls }, { tasks: ['sessions'] })
    const cache = await desk.open({ config })
    loaded = []
    const keys = ['session:1', 'session:x', 'session:y', 'session:none', 'film:11', 'film:16', 'cart:1', 'unknown:1']
    const values = await cache.getMany(keys)
    assertEquals([...values.keys()].sort(), ['cart:1', 'film:16', 'session:1', 'session:x', 'session:y'])
    assertEquals(loaded.sort(), ['cart:1', 'session:none', 'session:x', 'session:y'])
    assertEquals(await cache.get('film:11'), undefined)
  })

  it("with a warmer's own configuration and Redis; it outlives the cache", TIMEOUT, async () => {
    loaded = []
    await withWarmer({ config, ...servers.urls }, async (warmer) => {
      const cache = await desk.open({ warmer })
      assertEquals(await cache.get('title:4'), 'Film 4')
      await cache.close()
      assertEquals((await warmer.submit({ tasks: ['titles'] }).result).keys.written, 10)
    })
  })

  it('a warm-up does not bring back what the application deletes, or sets, meanwhile', TIMEOUT, async () => {
    for (const before of [false, true]) {
      const { promise: asked, resolve: tellAsked } = Promise.withResolvers<void>()
      const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
      const slow: ConfigDefinition = {
        tasks: {
          slow: load({
            ...{ key: 'slow:{n}', value: 'string', select: () => [1, 2, 3] },
            load: async (keys) => {
              tellAsked()
              await answered
              return keys.map(() => 'old')
            },
          }),
        },
      }
      const cache = await desk.open()
      if (before) await cache.set('other', 1)
      const running = runJob({ config: slow, ...servers.urls })
      await asked
      assertEquals(await cache.delete('slow:1'), 0)
      await cache.set('slow:2', 'new')
      answer()
      const job = await running
      assertEquals([job.keys.skippedNewer, job.keys.written], [2, 1])
      assertEquals(await servers.redis.mget('slow:1', 'slow:2', 'slow:3'), [null, '"new"', 'old'])
      await servers.redis.flushall()
    }
  })
})
