import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { configureSync, type LogRecord, resetSync } from '@logtape/logtape'
import { assert, assertEquals, assertRejects } from '@std/assert'
import postgres from 'postgres'
import type { CacheFacade } from '../../src/cache/types.ts'
import { createCache } from '../../src/compose-cache.ts'
import { createWarmer } from '../../src/index.ts'
import {
  createSessionCache,
  isSession,
  seedSessions,
  sessionKey,
  sessionSchema,
  sessionTasks,
} from '../../src/recipes/sessions/index.ts'
import { type Servers, startServers, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const CONFIG = { tasks: sessionTasks() }

describe('session cache on a real cache', () => {
  let ground: Servers
  let cache: CacheFacade
  const records: LogRecord[] = []
  let tokens: Record<'hot' | 'idle' | 'expired' | 'banned' | 'deleted', string[]>

  before(async () => {
    ground = await startServers()
    await ground.sql.unsafe('create schema platform')
    await ground.sql.unsafe(sessionSchema())
    await seedSessions(ground.sql, { users: 400 })
    tokens = {
      hot: await tokensWhere(`last_activity_at > now() - interval '20 hours' and ${USABLE}`),
      idle: await tokensWhere(`last_activity_at < now() - interval '24 hours' and ${USABLE}`),
      expired: await tokensWhere('expires_at < now()'),
      banned: await tokensWhere('banned_until > now() and expires_at > now()'),
      deleted: await tokensWhere('deleted_at is not null and expires_at > now()'),
    }
    for (const [name, list] of Object.entries(tokens)) assert(list.length > 3, `${list.length} sessions are ${name}`)
    configureSync({
      reset: true,
      sinks: { kept: (record) => void records.push(record) },
      loggers: [{ category: [], lowestLevel: 'trace', sinks: ['kept'] }],
    })
  })
  beforeEach(async () => {
    await ground.redis.flushall()
    cache = await createCache({ config: CONFIG, redis: ground.urls.redisUrl, redisTimeout: '5s', env: {} })
    await cache.has('anything') // connected
    records.length = 0
  })
  afterEach(() => cache.close())
  after(async () => {
    resetSync()
    await ground.stop()
  })

  const USABLE = 'expires_at > now() and deleted_at is null and (banned_until is null or banned_until < now())'

  async function tokensWhere(condition: string): Promise<string[]> {
    const rows = await ground.sql.unsafe(`
      select token from platform.user_sessions s join platform.users u on u.id = s.user_id
      where ${condition} order by s.id limit 20`)
    return rows.map(({ token }) => token as string)
  }

  async function warm(): Promise<void> {
    await using warmer = await createWarmer({ config: CONFIG, ...ground.urls, env: {} })
    const { status } = await warmer.submit().result
    assertEquals(status, 'success')
  }

  function ownLines(): Record<string, unknown>[] {
    return records.filter(({ category }) => category.join('.') === 'prewarm.sessions').map((one) => one.properties)
  }

  it('finds warmed sessions in the cache, in the very form that a miss gives', TIMEOUT, async () => {
    await warm()
    const sessions = createSessionCache({ cache, sql: ground.sql })
    const cold = createSessionCache({ cache: { ...unused, read: brokenRead }, sql: ground.sql })
    const [ids] = [await ground.sql`select token, id, user_id from platform.user_sessions`]
    const idOf = new Map(ids.map(({ token, id, user_id }) => [token as string, { id, user_id }]))
    for (const token of tokens.hot) {
      const session = await sessions.validateSession(token)
      assertEquals(
        [session?.token, session?.id, session?.userId],
        [token, idOf.get(token)?.id, idOf.get(token)?.user_id],
      )
      assertEquals(await cold.validateSession(token), session)
    }
    const hits = ownLines().map(({ cache_hit }) => cache_hit)
    assertEquals(
      hits,
      tokens.hot.flatMap(() => [true, false]),
    )
  })

  it(
    'loads what is not warm once, as a hash that other readers know, and refuses who may not enter',
    TIMEOUT,
    async () => {
      const sessions = createSessionCache({ cache, sql: ground.sql })
      const token = tokens.idle[0] as string
      const first = await sessions.validateSession(token)
      assertEquals(await sessions.validateSession(token), first)
      assertEquals(
        ownLines().map(({ cache_hit, session_id }) => [cache_hit, session_id]),
        [
          [false, first?.id],
          [true, first?.id],
        ],
      )
      const stored = await ground.redis.hgetall(sessionKey(token) as string)
      assertEquals([isSession(stored, token), stored.id], [true, first?.id])
      for (const token of [...tokens.expired, ...tokens.banned, ...tokens.deleted, 'f'.repeat(64)])
        assertEquals(await sessions.validateSession(token), null)
      assertEquals((await ground.redis.keys('session:*')).length, 1)
    },
  )

  it('serves a session from its login to its end, in every process', TIMEOUT, async () => {
    await using other = await createCache({ config: CONFIG, redis: ground.urls.redisUrl, redisTimeout: '5s', env: {} })
    await other.has('anything')
    const [here, there] = [cache, other].map((one) => createSessionCache({ cache: one, sql: ground.sql }))
    const token = 'c0ffee'.repeat(10)
    assertEquals(await there?.validateSession(token), null)
    const [user] = await ground.sql`
      select id from platform.users where deleted_at is null and banned_until is null order by id limit 1`
    const [row] = await ground.sql`
      insert into platform.user_sessions (user_id, token, expires_at, last_activity_at, created_at)
      values (${user?.id}, ${token}, now() + interval '1 day', now(), now()) returning id, expires_at`
    const login = { id: row?.id, userId: user?.id, expiresAt: row?.expires_at }
    assertEquals(await here?.warmSession(token, login), 'written')
    assertEquals((await there?.validateSession(token))?.id, row?.id, 'what was remembered before does not matter')
    assertEquals(ownLines().at(-1)?.cache_hit, true)

    assertEquals(await here?.revokeSession(token), true)
    assertEquals(await ground.redis.exists(sessionKey(token) as string), 0)
    assertEquals(await here?.validateSession(token), null)
    await until(async () => (await there?.validateSession(token)) === null)
    assertEquals(await there?.validateSession(token), null)
  })

  it('keeps a load in flight from bringing a revoked session back', TIMEOUT, async () => {
    const token = tokens.idle[1] as string
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    const { promise: read, resolve: hasRead } = Promise.withResolvers<void>()
    await using other = await createCache({ config: CONFIG, redis: ground.urls.redisUrl, redisTimeout: '5s', env: {} })
    const slow = createSessionCache({
      cache: other,
      sql: async (text, parameters) => {
        const rows = await ground.sql.unsafe(text, parameters as never[])
        hasRead()
        await held
        return rows
      },
    })
    const reading = slow.validateSession(token)
    await read
    const sessions = createSessionCache({ cache, sql: ground.sql })
    assertEquals(await sessions.revokeSession(token), true)
    release()
    assert((await reading) !== null, 'it began before the revocation')
    assertEquals(await ground.redis.exists(sessionKey(token) as string), 0)
    assertEquals(await slow.validateSession(token), null)
    assertEquals(await sessions.validateSession(token), null)
  })

  it('answers from the database when Redis is killed, and throws only when that is gone, too', TIMEOUT, async () => {
    const doomed = await startServers()
    const sql = postgres(doomed.urls.databaseUrl, { max: 2, connect_timeout: 2, onnotice: () => {} })
    await sql.unsafe('create schema platform')
    await sql.unsafe(sessionSchema())
    await seedSessions(sql, { users: 400 })
    await using orphan = await createCache({ config: CONFIG, redis: doomed.urls.redisUrl, env: {} })
    const sessions = createSessionCache({ cache: orphan, sql })
    try {
      const [known, fresh] = tokens.hot as [string, string]
      const before = await sessions.validateSession(known)
      await doomed.redisServer.stop()
      assertEquals((await sessions.validateSession(known))?.id, before?.id)
      assertEquals((await sessions.validateSession(fresh))?.token, fresh)
      for (const token of [...tokens.banned, ...tokens.expired])
        assertEquals(await sessions.validateSession(token), null)
      assertEquals(await sessions.warmSession(fresh, { id: 'x', userId: 'y', expiresAt: 'infinity' }), 'not_cached')
      const error = (await assertRejects(() => sessions.revokeSession(known))) as Error & { code?: string }
      assertEquals(error.code, 'STORE_UNREACHABLE')
      assertEquals(await sessions.validateSession(known), null, 'yet it is revoked here, and in the database')
      await doomed.postgresServer.stop()
      const last = tokens.hot[2] as string
      assertSafe([error, await assertRejects(() => sessions.validateSession(last))], [known, last])
    } finally {
      await sql.end({ timeout: 0 })
      await doomed.stop()
    }
    assertSafe(records, Object.values(tokens).flat())
  })

  it('throws what Postgres says, without the query’s parameters', TIMEOUT, async () => {
    const token = tokens.hot[0] as string
    const sessions = createSessionCache({ cache, sql: ground.sql, schema: 'nowhere' })
    const error = (await assertRejects(() => sessions.validateSession(token))) as Error & { code?: string }
    assertEquals([error.code, 'parameters' in error, 'args' in error], ['42P01', false, false])
    assertSafe([error, ...records], [token])
  })

  /** Nothing in `things` shows a token, or the first characters of one, however it is looked at. */
  function assertSafe(things: readonly unknown[], secrets: readonly string[]): void {
    assert(things.length > 0)
    for (const thing of things) {
      const seen = Bun.inspect(thing, { depth: 10, colors: false }) + JSON.stringify(thing)
      for (const secret of secrets) assert(!seen.includes(secret.slice(0, 16)), seen)
    }
  }
})

const unused = {
  set: () => Promise.reject(new Error('not asked')),
  delete: () => Promise.reject(new Error('not asked')),
}

function brokenRead(): never {
  throw new Error('no cache')
}
