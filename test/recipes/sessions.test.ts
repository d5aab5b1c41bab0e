import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { isSession, seedSessions, sessionKey, sessionSchema } from '../../src/recipes/sessions/index.ts'
import { type Ground, isFresh, openGround } from './support.ts'

const FIELDS = {
  id: 'id',
  userId: 'user_id',
  token: 'token',
  expiresAt: 'expires_at',
  lastActivityAt: 'last_activity_at',
  ipAddress: 'ip_address',
  userAgent: 'user_agent',
  createdAt: 'created_at',
  email: 'email',
  firstName: 'first_name',
  lastName: 'last_name',
  username: 'username',
}

const TIMEOUT = { timeout: 60_000 }

describe('recipe sessions', () => {
  let ground: Ground

  before(async () => {
    ground = await openGround('recipes/sessions/prewarm.config.ts')
    await ground.sql.unsafe('create schema platform')
    await ground.sql.unsafe(sessionSchema())
    await seedSessions(ground.sql)
  })
  beforeEach(() => ground.redis.flushall())
  after(() => ground.stop())

  /** The sessions to be warmed, as text, joined and filtered here and not in SQL. */
  async function expected(limit: number): Promise<Map<string, Record<string, string>>> {
    const users = await ground.sql`
      select id::text, email, first_name, last_name, username,
        deleted_at is null and coalesce(banned_until, '-infinity') <= now() as welcome from platform.users`
    const welcome = new Map(users.filter((user) => user.welcome).map((user) => [user.id, user]))
    const sessions = await ground.sql`
      select id::text, user_id::text, token, expires_at::text, last_activity_at::text, host(ip_address) as ip_address,
        user_agent, created_at::text, expires_at > now() as alive, extract(epoch from now() - last_activity_at)::float8 as idle
      from platform.user_sessions`
    return new Map(
      sessions
        .filter(({ user_id, alive, idle }) => welcome.has(user_id) && alive && idle < 86_400)
        .sort((a, b) => a.idle - b.idle)
        .slice(0, limit)
        .map((session) => {
          const row: Record<string, string | null> = { ...welcome.get(session.user_id), ...session }
          const fields = Object.entries(FIELDS).map(([field, column]) => [field, row[column]])
          return [
            `session:${session.token.slice(0, 16)}`,
            Object.fromEntries(fields.filter(([, value]) => value !== null)),
          ]
        }),
    )
  }

  it('warms the newest thousand, each field as the tables say', TIMEOUT, async () => {
    const result = await ground.run()
    const sessions = await expected(1000)
    assertEquals([result.status, result.keys.written], ['success', 1000])
    assertEquals(await ground.keys(), [...sessions.keys()].sort())
    for (const [key, fields] of sessions) {
      assertEquals(await ground.redis.hgetall(key), fields)
      const leftMs = await ground.redis.pttl(key)
      assert(isFresh(leftMs, 300_000), `${key} lives ${leftMs} ms`)
    }
    const hashes = [...sessions.values()]
    assert(
      hashes.some((fields) => fields.ipAddress === undefined) && hashes.some((fields) => fields.username !== undefined),
    )
    // a page of 100 is one request; the eleventh finds the end, the first made the plan
    assert((result.tasks[0]?.originRequests ?? 0) >= 11, `${result.tasks[0]?.originRequests} requests`)
  })

  it('leaves out who is deleted or banned, and what is idle or expired', TIMEOUT, async () => {
    const result = await ground.run({ params: { limit: 1_000_000 } })
    const sessions = await expected(1_000_000)
    assertEquals(result.keys.written, sessions.size)
    assertEquals(await ground.keys(), [...sessions.keys()].sort())
    const refused = await ground.sql`
      select s.token, u.deleted_at is not null as deleted, u.banned_until > now() as banned, u.banned_until < now() as pardoned,
        s.expires_at < now() as expired, s.last_activity_at < now() - interval '1 day' as idle
      from platform.user_sessions s join platform.users u on u.id = s.user_id`
    const warmed = new Set(await ground.keys())
    for (const why of ['deleted', 'banned', 'expired', 'idle']) {
      const tokens = refused.filter((row) => row[why]).map((row) => row.token as string)
      assert(tokens.length > 20, `${tokens.length} are ${why}`)
      assertEquals(
        tokens.filter((token) => warmed.has(sessionKey(token) as string)),
        [],
        why,
      )
    }
    assert(
      refused.some((row) => row.pardoned && warmed.has(sessionKey(row.token) as string)),
      'a ban that is over is over',
    )
  })

  it('warms neither of two sessions whose tokens begin alike, and says so', TIMEOUT, async () => {
    const twins = ['a'.repeat(16) + '1'.repeat(48), 'a'.repeat(16) + '2'.repeat(48), 'short-token']
    const sessions = await ground.sql`
      insert into platform.user_sessions (user_id, token, expires_at, last_activity_at, created_at)
      select (select id from platform.users where deleted_at is null and banned_until is null order by id limit 1),
        token, now() + interval '1 day', now(), now()
      from unnest(${twins}::text[]) token returning id`
    try {
      const result = await ground.run({ params: { limit: 50 } })
      assertEquals([result.status, result.keys.written, result.keys.failed], ['partial', 47, 3])
      assertEquals(result.tasks[0]?.firstError?.code, 'KEY_INVALID')
      assertStringIncludes(result.tasks[0]?.firstError?.message ?? '', 'token_prefix')
      assertEquals(await ground.redis.exists(`session:${'a'.repeat(16)}`, 'session:short-token'), 0)
    } finally {
      await ground.sql`delete from platform.user_sessions where id in ${ground.sql(sessions.map(({ id }) => id))}`
    }
  })

  it('finds a session by its token, and by nothing that only looks like it', TIMEOUT, async () => {
    await ground.run({ params: { limit: 5 } })
    const [row] = await ground.sql`
      select token from platform.user_sessions where token like ${`${(await ground.keys())[0]?.slice(8)}%`}`
    const token = row?.token as string
    const stored = await ground.redis.hgetall(sessionKey(token) as string)
    assertEquals(isSession(stored, token), true)
    assertEquals(isSession(stored, `${token.slice(0, 16)}${'0'.repeat(48)}`), false)
    assertEquals(isSession({}, token), false)
    assertEquals(isSession(stored, token, Date.now() + 60 * 86_400_000), false)
    assertEquals(sessionKey('only-16-letters.'), null)
    assertEquals(sessionKey('with:{odd}*signs-and-more', 'x:'), 'x:session:with%3A%7Bodd%7D%2Asigns')
  })

  it('reads the time in every zone that Postgres writes it in', () => {
    const token = 't'.repeat(32)
    const atMs = Date.parse('2026-05-31T06:00:00.123Z')
    for (const expiresAt of [
      '2026-05-31 06:00:00.123456+00',
      '2026-05-31 08:00:00.1239+02',
      '2026-05-31 11:30:00.123+05:30',
      '2026-05-31 02:00:00.123-04',
    ]) {
      assertEquals(isSession({ token, expiresAt }, token, atMs - 1), true, expiresAt)
      assertEquals(isSession({ token, expiresAt }, token, atMs), false, expiresAt)
    }
    assertEquals(isSession({ token, expiresAt: 'infinity' }, token), true)
    assertEquals(isSession({ token, expiresAt: 'soon' }, token), false)
  })

  it('needs no sort of all sessions', TIMEOUT, async () => {
    const plan = await ground.sql`
      explain select * from platform.user_sessions where last_activity_at > now() - interval '1 day'
      order by last_activity_at desc, id limit 100`
    assert(
      plan.some((line) => line['QUERY PLAN'].includes('user_sessions_newest')),
      JSON.stringify(plan),
    )
  })
})
