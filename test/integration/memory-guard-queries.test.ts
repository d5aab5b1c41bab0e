import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { sql } from '../../src/index.ts'
import { bound, fillHot, names, shareOf } from '../support/full-redis.ts'
import { type Servers, startServers, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const QUERY = `select id, repeat('z', 900) as text from items`

describe('warming a Redis that is full from queries', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
    await servers.sql`create table items as select id from generate_series(0, 4999) id`
  }, TIMEOUT)
  after(() => servers.stop(), TIMEOUT)
  beforeEach(async () => {
    await servers.redis.config('SET', 'maxmemory', 0)
    await servers.redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await servers.redis.flushall()
  }, TIMEOUT)

  /** `held`: keys that Redis is full of. */
  const warm = (kind: string, held: string[]) => {
    const { redisUrl: redis, databaseUrl: database } = servers.urls
    const order = kind === 'ranges' ? { orderBy: ['id'] } : {}
    const items = sql({ key: 'item:{id}', value: 'json', query: QUERY, batchSize: 100, ...order })
    const config = { redis, database, workers: 0, maxOriginRps: 1_000_000, tasks: { items } }
    return withWarmer({ config }, async (warmer) => {
      await warmer.submit({ count: 1 }).result
      await fillHot(servers.redis, held)
      await bound(servers.redis)
      const result = await warmer.submit().result
      // A stream that was cut gives its connection back.
      await until(async () => {
        const [open] =
          await servers.sql`select count(*)::int as n from pg_stat_activity where state like 'idle in trans%'`
        return open?.n === 0
      })
      return result
    })
  }

  for (const kind of ['ranges', 'stream']) {
    it(`${kind}: rows that are not there are left out after one batch`, TIMEOUT, async () => {
      const hot = names('hot', 8000)
      const { status, keys, memory, tasks } = await warm(kind, hot)
      assertEquals([status, keys.failed, keys.unknown, memory?.isExact], ['partial', 0, 0, kind === 'ranges'])
      assert(keys.written <= 1 && (tasks[0]?.originRequests ?? 9) <= 4, `${tasks[0]?.originRequests} requests`)
      if (kind === 'ranges') assertEquals(keys.planned + (memory?.leftOut ?? 0), 5000)
      assert((await shareOf(servers.redis, hot)) >= 0.98)
    })

    it(`${kind}: rows that are there are written again`, TIMEOUT, async () => {
      const { keys, memory } = await warm(kind, names('item', 2000))
      assertEquals(keys.failed, 0)
      assert(keys.written > 1400 && keys.written <= 2000, `${keys.written} were written`)
      assert((memory?.leftOut ?? 0) > 0)
      assert((await shareOf(servers.redis, names('item', 5000))) < 0.45)
    })
  }
})
