import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import postgres from 'postgres'
import type { CacheFacade } from '../../src/cache/types.ts'
import { createCache } from '../../src/compose-cache.ts'
import { seedSessions, sessionSchema } from '../../src/recipes/sessions/index.ts'
import {
  createUserCache,
  seedUsers,
  sqlLoaders,
  userKey,
  userSchema,
  userTasks,
} from '../../src/recipes/users/index.ts'
import { until } from '../support/warming.ts'
import { type Ground, isFresh, openGround } from './support.ts'

const TIMEOUT = { timeout: 60_000 }
const PARTS = ['profile', 'settings', 'recent', 'forms'] as const
const TTL_MS = { profile: 900_000, settings: 900_000, recent: 300_000, forms: 600_000 }

describe('recipe users', () => {
  let ground: Ground
  /** Hottest first, counted here and not in SQL. */
  let busiest: string[]

  before(async () => {
    ground = await openGround('recipes/users/prewarm.config.ts')
    await ground.sql.unsafe('create schema platform')
    await ground.sql.unsafe(userSchema())
    await seedUsers(ground.sql)
    const users = await ground.sql`
      select id::text, deleted_at is null and coalesce(banned_until, '-infinity') <= now() as welcome from platform.users`
    const seen = await ground.sql`
      select user_id::text, extract(epoch from now() - at)::float8 as ago from platform.user_activity`
    const counts = new Map<string, { count: number; ago: number }>()
    const welcome = new Set(users.filter((user) => user.welcome).map(({ id }) => id))
    for (const { user_id, ago } of seen) {
      if (ago > 86_400 || !welcome.has(user_id)) continue
      const old = counts.get(user_id)
      counts.set(user_id, { count: (old?.count ?? 0) + 1, ago: Math.min(old?.ago ?? ago, ago) })
    }
    busiest = [...counts].sort(([, a], [, b]) => b.count - a.count || a.ago - b.ago).map(([id]) => id)
    assert(busiest.length > 60 && seen.some(({ user_id }) => !welcome.has(user_id)), `${busiest.length} were active`)
  })
  beforeEach(() => ground.redis.flushall())
  after(() => ground.stop())

  async function withCache<T>(work: (cache: CacheFacade) => Promise<T>): Promise<T> {
    await using cache = await createCache({
      config: { tasks: userTasks() },
      redis: ground.urls.redis,
      redisTimeout: '5s',
      env: {},
    })
    await cache.has('anything') // connected
    return await work(cache)
  }

  async function stored(key: string): Promise<unknown> {
    return JSON.parse((await ground.redis.get(key)) ?? 'null')
  }

  it('warms the busiest users of a day, each part as the tables say', TIMEOUT, async () => {
    const result = await ground.run({ params: { limit: 50 } })
    assertEquals([result.status, result.keys.written], ['success', 200])
    const wanted = busiest.slice(0, 50).flatMap((id) => PARTS.map((part) => userKey(part, id)))
    assertEquals(await ground.keys(), wanted.sort())
    for (const id of busiest.slice(0, 50)) {
      const [user] = await ground.sql`select * from platform.users where id = ${id}`
      const { email, username, first_name: firstName, last_name: lastName } = user as never
      assertEquals(await stored(userKey('profile', id)), { id, email, username, firstName, lastName })
      const [own] = await ground.sql`select permissions, settings from platform.user_settings where user_id = ${id}`
      assertEquals(await stored(userKey('settings', id)), { ...(own ?? { permissions: [], settings: {} }) })
      const activity = await ground.sql`
        select item, at from platform.user_activity where user_id = ${id} order by at desc`
      const recent = (await stored(userKey('recent', id))) as { item: string; at: string }[]
      assertEquals(
        recent.map(({ item }) => item),
        [...new Set(activity.map(({ item }) => item))].slice(0, 20),
      )
      assertEquals(Date.parse(recent[0]?.at ?? ''), activity[0]?.at.getTime())
      const forms = await ground.sql`
        select id, name, fields from platform.user_forms where user_id = ${id} order by updated_at desc`
      assertEquals(
        ((await stored(userKey('forms', id))) as { id: string; name: string; fields: unknown }[]).map(
          ({ id, name, fields }) => ({ id, name, fields }),
        ),
        forms.map((form) => ({ ...form })) as never,
      )
      for (const part of PARTS) {
        const leftMs = await ground.redis.pttl(userKey(part, id))
        assert(isFresh(leftMs, TTL_MS[part]), `${part} lives ${leftMs} ms`)
      }
    }
  })

  it('leaves out who is deleted or banned, and warms by key only who is there', TIMEOUT, async () => {
    const all = await ground.run({ params: { limit: 100_000, hours: 24 } })
    assertEquals(all.keys.written, 4 * busiest.length)
    const [gone] = await ground.sql`select id from platform.users where deleted_at is not null limit 1`
    await ground.redis.flushall()
    const keys = [gone?.id, 'no-uuid', busiest[0]].map((id) => userKey('profile', id))
    const searches = ['users:search:3:user1', 'users:search:1001:user1', 'users:search:x:a', 'users:search:3:User1']
    const result = await ground.run({ keys: [...keys, ...searches] })
    assertEquals(await ground.keys(), [keys[2], searches[0]].sort() as string[])
    assertEquals(
      [result.keys.written, result.keys.failed, result.tasks[0]?.firstError?.code],
      [2, 5, 'ORIGIN_NO_VALUE'],
    )
  })

  it('warms a user at the login, so that the reads that follow are hits', TIMEOUT, async () => {
    await withCache(async (cache) => {
      const users = createUserCache({ cache, sql: ground.sql })
      const id = busiest[7] as string
      const result = await users.warmUserData(id, { preloadForms: true })
      assertEquals([result.warmed, result.skipped, result.failed], [[...PARTS], [], []])
      assert(result.durationNs > 0)
      for (const part of PARTS) {
        const { status, value, filledBy } = await cache.read(userKey(part, id))
        assertEquals([status, filledBy], ['hit', 'warm'])
        assertEquals(value, await stored(userKey(part, id)))
      }
      const fromTask = await stored(userKey('recent', id))
      await ground.run({ keys: [userKey('recent', id)] })
      assertEquals(await stored(userKey('recent', id)), fromTask, 'the task writes the same')
      const gone = await ground.sql`select id from platform.users where deleted_at is not null limit 1`
      assertEquals((await users.warmUserData(gone[0]?.id)).skipped.length, 3)
    })
  })

  it('does not bring back what was deleted while it was read', TIMEOUT, async () => {
    await withCache(async (cache) => {
      const own = sqlLoaders(ground.sql)
      const id = busiest[3] as string
      const key = userKey('settings', id)
      const users = createUserCache({
        cache,
        loaders: {
          ...own,
          async settings(ids, signal) {
            const values = await own.settings(ids, signal)
            await cache.delete(key)
            return values
          },
        },
      })
      const { warmed, skipped } = await users.warmUserData(id)
      assertEquals([warmed, skipped], [['profile', 'recent'], [{ what: 'settings', why: 'skipped_newer' }]])
      assertEquals(await ground.redis.exists(key), 0)
    })
  })

  it('warms the top users and searches for some', TIMEOUT, async () => {
    await withCache(async (cache) => {
      const users = createUserCache({ cache, sql: ground.sql })
      const top = await users.warmTopUsers({ limit: 30 })
      assertEquals([top.users, top.warmed, top.skipped, top.failed], [30, 90, 0, []])
      const wanted = busiest.slice(0, 30).flatMap((id) => PARTS.slice(0, 3).map((part) => userKey(part, id)))
      assertEquals(
        (await ground.keys()).filter((key) => key.startsWith('user:')),
        wanted.sort(),
      )

      const found = await users.searchUsers(' USER12 ', { limit: 50 })
      const rows = await ground.sql`
        select id from platform.users where deleted_at is null and email like 'user12%' order by username, email, id`
      assertEquals(
        found.map(({ id }) => id),
        rows.map(({ id }) => id),
      )
      assertEquals((await cache.read('users:search:50:user12')).status, 'hit')
      assertEquals((await users.searchUsers('first12 last12'))[0]?.lastName, 'Last12')
      assertEquals(await users.searchUsers('user1%'), [])
      assertEquals(await users.searchUsers('user_2'), [])
    })
  })

  it('says what failed when the database is slow or the table is gone, and warms the rest', TIMEOUT, async () => {
    await withCache(async (cache) => {
      const id = busiest[1] as string
      const pool = postgres(ground.urls.database, { max: 4, onnotice: () => {} })
      try {
        const users = createUserCache({ cache, sql: pool, timeout: '2s', retries: 0 })
        assertEquals((await users.warmUserData(id)).failed, [])
        await ground.sql.begin(async (sql) => {
          await sql`lock table platform.user_settings in access exclusive mode`
          const { warmed, failed } = await users.warmUserData(id)
          assertEquals(
            [warmed, failed.map(({ what, code }) => [what, code])],
            [['profile', 'recent'], [['settings', 'ORIGIN_TIMEOUT']]],
          )
          // A query that was given up is cancelled, while the lock is still held.
          await until(async () => {
            const [waiting] =
              await sql`select count(*)::int as count from pg_stat_activity where wait_event_type = 'Lock'`
            return waiting?.count === 0
          })
        })
        const { failed } = await createUserCache({ cache, sql: pool, schema: 'nowhere' }).warmUserData(id)
        assertEquals(new Set(failed.map(({ code }) => code)), new Set(['ORIGIN_FAILED']))
        assertEquals((await users.warmUserData(id)).failed, [])
      } finally {
        await pool.end({ timeout: 1 })
      }
    })
  })

  it('serves its reads by an index', TIMEOUT, async () => {
    const plan = await ground.sql.begin(async (sql) => {
      await sql`set local enable_seqscan = off`
      return sql`explain select id from platform.users where lower(email) like 'user12%' or lower(username) like 'user12%'
        or lower(last_name) like 'user12%' or lower(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) like 'user12%'`
    })
    const text = plan.map((line) => line['QUERY PLAN']).join('\n')
    for (const index of ['email', 'username', 'last_name', 'full_name'])
      assert(text.includes(`users_by_${index}`), text)
  })

  it('shares its table of users with the sessions', TIMEOUT, async () => {
    const schema = 'shared'
    await ground.sql.unsafe('create schema shared')
    await ground.sql.unsafe(userSchema(schema))
    await ground.sql.unsafe(sessionSchema(schema))
    await seedSessions(ground.sql, { users: 20, schema })
    await seedUsers(ground.sql, { users: 30, schema })
    const [counts] = await ground.sql`
      select (select count(*)::int from shared.users) as users, (select count(*)::int from shared.user_sessions) as sessions`
    assertEquals([counts?.users, counts?.sessions], [30, 40])
  })
})
