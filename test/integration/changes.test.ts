import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { load, sql } from '../../src/index.ts'
import { CHANGES_KEY, KEPT_CHANGES } from '../../src/store/changes.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { entry, freshKey, text, write } from '../contract/store.contract.ts'
import { fillAsReader, tierOver } from '../support/changes.ts'
import { clock } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect, type Servers, startServers, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const ROWS = 24
/** From row 5 on it waits while somebody holds the advisory lock 77. */
const QUERY = `select id, v from items where id < 5 or pg_advisory_xact_lock_shared(77)::text = ''`
const FILE = configFile(`maxOriginRps: 100000, concurrentWarmers: 3, tasks: {
  stream: sql({ key: 'item:{id}', value: { column: 'v' }, query: "${QUERY}", batchSize: 4 }) }`)

describe('what is deleted while a warmer reads', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
    await servers.sql`create table items (id int primary key, v text not null)`
  }, TIMEOUT)
  beforeEach(async () => {
    await servers.redis.flushall()
    await servers.sql`truncate items`
    await servers.sql`insert into items select n, 'old' from generate_series(1, ${ROWS}) n`
  }, TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  const deleted = (...ids: number[]) => tierOver(servers.redis).delete(ids.map((id) => `item:${id}`))
  const held = async (): Promise<(string | null)[]> =>
    servers.redis.mget(Array.from({ length: ROWS }, (_, at) => `item:${at + 1}`))
  const expected = (gone: number[]): (string | null)[] =>
    Array.from({ length: ROWS }, (_, at) => (gone.includes(at + 1) ? null : 'old'))
  /** Holds what the rows from 5 on wait for while `work` runs, and says when a query waits for it. */
  const holding = async <T>(work: (waiting: () => Promise<void>) => Promise<T>): Promise<T> => {
    const holder = await servers.sql.reserve()
    try {
      await holder`select pg_advisory_lock(77)`
      const waiters = () => servers.sql`select from pg_locks where locktype = 'advisory' and not granted`
      return await work(() => until(async () => (await waiters()).length > 0))
    } finally {
      await holder`select pg_advisory_unlock(77)`
      holder.release()
    }
  }

  for (const before of ['nothing', 'something']) {
    /** With something changed before, tickets are numbers; else they are 0. */
    const prepare = async () => {
      if (before === 'something') await deleted(1)
    }

    it(`is not brought back by a load (${before} was changed before)`, TIMEOUT, async () => {
      await prepare()
      const begun = Promise.withResolvers<void>()
      const go = Promise.withResolvers<void>()
      const items = load({
        key: 'item:{id}',
        value: 'string',
        select: () => Array.from({ length: ROWS }, (_, at) => at + 1),
        load: async (keys) => {
          const values = keys.map(() => 'old')
          begun.resolve()
          await go.promise
          return values
        },
      })
      await withWarmer({ config: { redis: servers.redisServer.url, tasks: { items } } }, async (warmer) => {
        const job = warmer.submit()
        await begun.promise
        await deleted(3, 7)
        await fillAsReader(servers.redis, 'item:9', 'new')
        go.resolve()
        const { keys, status } = await job.result
        assertEquals([status, keys.written, keys.skippedNewer], ['success', ROWS - 3, 3])
      })
      const values = expected([3, 7])
      values[8] = 'new'
      assertEquals(await held(), values)
    })

    for (const workers of [0, 1]) {
      it(
        `is not brought back by a stream's later pages (${workers} workers, ${before} was changed before)`,
        TIMEOUT,
        async () => {
          await prepare()
          await withWarmer({ file: FILE, workers, ...servers.urls }, async (warmer) => {
            const job = await holding(async (waiting) => {
              const submitted = warmer.submit({ tasks: ['stream'] })
              await until(async () => (await servers.redis.exists('item:4')) === 1)
              await waiting()
              await servers.sql`update items set v = 'new' where id in (2, 6, 22)`
              // Written already, being read, and asked for much later: the cursor shows all of them as they were.
              assertEquals(await deleted(2, 6, 22), 1)
              return submitted
            })
            const { keys, status } = await job.result
            assertEquals([status, keys.written, keys.skippedNewer], ['success', ROWS - 2, 2])
          })
          assertEquals(await held(), expected([2, 6, 22]))
        },
      )
    }

    it(
      `is not brought back by a range; one that is read later brings what is new (${before} was changed before)`,
      TIMEOUT,
      async () => {
        await prepare()
        const begun = Promise.withResolvers<void>()
        const go = Promise.withResolvers<void>()
        const gate = load({
          key: 'gate:{id}',
          value: 'string',
          select: () => [1],
          load: async (keys) => {
            begun.resolve()
            await go.promise
            return keys
          },
        })
        const query = "select id, v from items where pg_advisory_xact_lock_shared(77)::text = ''"
        const ranges = sql({ key: 'item:{id}', value: { column: 'v' }, query, orderBy: ['id'], batchSize: 4 })
        const { redisUrl: redis, databaseUrl: database } = servers.urls
        const config = { redis, database, concurrentWarmers: 1, maxOriginRps: 100_000, tasks: { gate, ranges } }
        await withWarmer({ config }, async (warmer) => {
          const first = warmer.submit({ tasks: ['gate'] })
          await begun.promise
          const job = warmer.submit({ tasks: ['ranges'] })
          await until(() => job.progress().some(({ total }) => total === ROWS))
          await holding(async (waiting) => {
            go.resolve()
            await waiting()
            await servers.sql`update items set v = 'new' where id in (2, 22)`
            await deleted(2, 22)
          })
          const { keys, status } = await job.result
          assertEquals([status, keys.written, keys.skippedNewer], ['success', ROWS - 1, 1])
          await first.result
        })
        const values = expected([2])
        values[21] = 'new'
        assertEquals(await held(), values)
      },
    )
  }
})

describe('a store, and what was changed', () => {
  let server: RedisServer
  let redis: Redis
  let store: RedisStore
  before(async () => {
    server = await startRedisServer({ args: ['--maxmemory-policy', 'noeviction'] })
    redis = connect(server.url)
    store = new RedisStore({ url: server.url, clock })
    await store.connect(5000)
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.config('SET', 'maxmemory', '0')
    await redis.flushall()
  })
  after(async () => {
    await store.close()
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  it('forgets the oldest changes, and refuses whatever was read before the oldest it knows', TIMEOUT, async () => {
    const [early, ours] = [freshKey(), freshKey()]
    await store.unlink([freshKey()])
    const before = await store.begin()
    await store.unlink([early])
    const since = await store.begin()
    const made = Array.from({ length: KEPT_CHANGES / 500 }, (_, page) =>
      Array.from({ length: 500 }, (_, at) => `many:${page}:${at}`),
    )
    for (const keys of made.slice(1)) await store.unlink(keys)
    const outcomesOf = async (ticket: string) =>
      (await write(store, [entry(early, text('x')), entry(ours, text('x'))], { ticket })).outcomes
    assertEquals(await outcomesOf(before), ['skipped_newer', 'written'])
    assertEquals(await outcomesOf(since), ['written', 'written'])
    const late = await store.begin()
    await store.unlink(made[0] as string[])
    const kept = await redis.zcard(CHANGES_KEY)
    assert(kept <= KEPT_CHANGES + 3 && kept > KEPT_CHANGES * 0.8, `${kept}`)
    for (const ticket of ['0', before, since])
      assertEquals(await outcomesOf(ticket), ['skipped_newer', 'skipped_newer'])
    assertEquals(await outcomesOf(late), ['written', 'written'])
    const changed = await write(store, [entry('many:0:7', text('x'))], { ticket: late })
    assertEquals(changed.outcomes, ['skipped_newer'])
  })

  it('gives tickets, and deletes, in a server that is full; what is written is refused for that', TIMEOUT, async () => {
    const key = freshKey()
    await write(store, [entry(key, text('x'.repeat(10_000)))])
    await store.unlink([freshKey()])
    const ticket = await store.begin()
    await redis.config('SET', 'maxmemory', '1')
    const next = await store.begin()
    assert(Number(next) > Number(ticket), next)
    const { outcomes, failures } = await write(store, [entry(freshKey(), text('x'))], { ticket: next })
    assertEquals([outcomes, failures.get(0)?.failure.detail], [['failed'], 'OOM'])
    assertEquals(await store.unlink([key]), 1)
    await redis.config('SET', 'maxmemory', '0')
    assertEquals((await write(store, [entry(key, text('x'))], { ticket: next })).outcomes, ['skipped_newer'])
  })

  it('goes on giving tickets after SCRIPT FLUSH, and after its connection was lost', TIMEOUT, async () => {
    await store.unlink([freshKey()])
    const tickets = [await store.begin()]
    await redis.script('FLUSH')
    tickets.push(await store.begin())
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    tickets.push(await store.begin())
    assert(
      tickets.every((ticket, at) => Number(ticket) > Number(tickets[at - 1] ?? 0)),
      `${tickets}`,
    )
  })

  it('tells that it is not there instead of a ticket, and what refused it', TIMEOUT, async () => {
    const codeOf = (work: Promise<unknown>) =>
      work.then(
        () => 'none',
        (error) => [error.code, error.detail],
      )
    await store.unlink([freshKey()])
    await redis.call('ACL', 'SETUSER', 'default', '-zadd')
    assertEquals(await codeOf(store.begin()), ['STORE_REFUSED', 'ERR'])
    await redis.call('ACL', 'SETUSER', 'default', '+zadd')
    server.pause()
    assertEquals(((await codeOf(store.begin({ timeoutMs: 300 }))) as string[])[0], 'STORE_UNREACHABLE')
    server.resume()
    assert(/^\d{16}$/.test(await store.begin()))
  })
})
