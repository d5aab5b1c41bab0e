import { beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import type { Row } from '../../src/recipes/query.ts'
import { createSessionCache, type SessionCacheOptions, sessionKey } from '../../src/recipes/sessions/index.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCache } from './fake-cache.ts'

const ALICE = `alice-has-a-tok${'a'.repeat(30)}`
/** The first 16 characters are the same. */
const TWIN = `alice-has-a-tok${'a'.repeat(20)}-twin`
const BOB = `bob:{has}*odd?${'b'.repeat(30)}`

/** A database with one query each for reading and ending, and how often it was asked. */
class FakeDatabase {
  readonly rows = new Map<string, Row>()
  asked = 0
  failure: Error | undefined
  gate: Promise<void> | undefined

  readonly query = async (text: string, parameters: readonly unknown[]): Promise<readonly Row[]> => {
    this.asked++
    const token = parameters[0] as string
    const row = this.rows.get(token)
    await this.gate
    if (this.failure !== undefined) throw Object.assign(this.failure, { parameters })
    if (text.includes('update')) this.rows.delete(token)
    return row === undefined ? [] : [row]
  }
}

describe('session cache', () => {
  let clock: FakeClock
  let cache: FakeCache
  let database: FakeDatabase
  let lines: Record<string, unknown>[]
  let sessions: ReturnType<typeof open>

  function open(options: Partial<SessionCacheOptions> = {}) {
    const log = {
      info: (_message: string, line: Record<string, unknown>) => void lines.push(line),
      warn: (_message: string, line: Record<string, unknown>) => void lines.push(line),
    }
    return createSessionCache({ cache, sql: database.query, clock, log, ...options })
  }

  function session(token: string, id: string): Row {
    const expiresAt = new Date(clock.nowMs() + 3_600_000).toISOString()
    return { id, userId: `user-${id}`, token, expiresAt, username: null }
  }

  beforeEach(() => {
    clock = new FakeClock()
    cache = new FakeCache(clock)
    database = new FakeDatabase()
    lines = []
    sessions = open()
    for (const [token, id] of [
      [ALICE, 's1'],
      [BOB, 's2'],
    ] as const)
      database.rows.set(token, session(token, id))
  })

  it('asks the database once, then the cache, for as long as the ttl', async () => {
    const { username: _, ...fields } = session(ALICE, 's1')
    assertEquals(await sessions.validateSession(ALICE), fields as Record<string, string>)
    assertEquals(await sessions.validateSession(ALICE), fields as Record<string, string>)
    assertEquals(database.asked, 1)
    await clock.advance(300_000)
    await sessions.validateSession(ALICE)
    assertEquals(database.asked, 2)
  })

  it('logs one line for each call, with ids and never a token', async () => {
    await sessions.validateSession(BOB)
    await sessions.validateSession(BOB)
    await sessions.validateSession('nobody-has-this-token')
    await sessions.warmSession(BOB, { id: 's2', userId: 'user-s2', expiresAt: new Date(clock.nowMs() + 1000) })
    await sessions.revokeSession(BOB)
    const line = (operation: string, cache_hit: boolean, user_id: string | null, session_id: string | null) => ({
      ...{ operation, cache_hit, duration_ms: 0, user_id, session_id },
    })
    assertEquals(lines, [
      line('validate', false, 'user-s2', 's2'),
      line('validate', true, 'user-s2', 's2'),
      line('validate', false, null, null),
      line('warm', false, 'user-s2', 's2'),
      line('revoke', false, 'user-s2', 's2'),
    ])
  })

  it('remembers shortly, by the whole token, that one is nobody’s', async () => {
    assertEquals(await sessions.validateSession(TWIN), null)
    assertEquals(await sessions.validateSession(TWIN), null)
    assertEquals(database.asked, 1)
    for (let times = 0; times < 2; times++)
      assertEquals((await sessions.validateSession(ALICE))?.id, 's1', 'whose token begins alike')
    assertEquals(database.asked, 2, 'and is cached')
    await clock.advance(10_001)
    assertEquals(await sessions.validateSession(TWIN), null)
    assertEquals(database.asked, 3)
  })

  it('never refuses a login because of what it remembers', async () => {
    database.rows.delete(ALICE)
    assertEquals(await sessions.validateSession(ALICE), null)
    database.rows.set(ALICE, session(ALICE, 's1'))
    const login = { id: 's1', userId: 'user-s1', expiresAt: new Date(clock.nowMs() + 3_600_000) }
    assertEquals(await sessions.warmSession(ALICE, login), 'written')
    assertEquals((await sessions.validateSession(ALICE))?.userId, 'user-s1')
    cache.entries.clear()
    assertEquals((await sessions.validateSession(ALICE))?.userId, 'user-s1', 'also where the cache has lost it')
  })

  it('does not remember an answer that a login has overtaken', async () => {
    database.rows.delete(ALICE)
    const { promise, resolve } = Promise.withResolvers<void>()
    database.gate = promise
    const early = sessions.validateSession(ALICE)
    await clock.advance(0)
    database.rows.set(ALICE, session(ALICE, 's1'))
    await sessions.warmSession(ALICE, { id: 's1', userId: 'u', expiresAt: new Date(clock.nowMs() + 3_600_000) })
    resolve()
    assertEquals(await early, null)
    cache.entries.clear()
    assertEquals((await sessions.validateSession(ALICE))?.id, 's1')
  })

  it('never takes one session for another whose token begins alike', async () => {
    database.rows.set(TWIN, session(TWIN, 's3'))
    assertEquals(sessionKey(TWIN), sessionKey(ALICE))
    const found = await Promise.all([ALICE, TWIN, ALICE, TWIN].map((token) => sessions.validateSession(token)))
    assertEquals(
      found.map((one) => one?.id),
      ['s1', 's3', 's1', 's3'],
    )
    for (const [token, id] of [
      [TWIN, 's3'],
      [ALICE, 's1'],
    ] as const)
      assertEquals((await sessions.validateSession(token))?.id, id)
    assertEquals(await sessions.validateSession(`${ALICE}x`), null)
  })

  it('serves no session past its end, though it is cached', async () => {
    const expiresAt = new Date(clock.nowMs() + 60_000)
    await sessions.warmSession(ALICE, { id: 's1', userId: 'u', expiresAt })
    const [key] = [...cache.entries.keys()]
    cache.entries.set(
      key as string,
      { ...cache.entries.get(key as string), untilMs: Number.POSITIVE_INFINITY } as never,
    )
    assertEquals((await sessions.validateSession(ALICE))?.id, 's1')
    await clock.advance(60_000)
    database.rows.delete(ALICE)
    assertEquals(await sessions.validateSession(ALICE), null)
  })

  it('serves a revoked session never again, also to who was reading it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    database.gate = promise
    const reading = sessions.validateSession(ALICE)
    await clock.advance(0)
    database.gate = undefined
    assertEquals(await sessions.revokeSession(ALICE), true)
    resolve()
    assertEquals(await reading, null)
    assertEquals(cache.peek(sessionKey(ALICE) as string), undefined, 'the load in flight did not bring it back')
    database.rows.set(ALICE, session(ALICE, 's1')) // a replica that lags behind
    const { asked } = database
    assertEquals(await sessions.validateSession(ALICE), null)
    assertEquals(database.asked, asked)
    const late = { id: 's1', userId: 'u', expiresAt: new Date(clock.nowMs() + 1000) }
    assertEquals(await sessions.warmSession(ALICE, late), 'not_cached')
    assertEquals(await sessions.revokeSession('nobody-has-this-token'), false)
  })

  it('says that a revoked session may still be in Redis, and itself serves it no more', async () => {
    await sessions.validateSession(ALICE)
    cache.isDown = true
    const error = await assertRejects(() => sessions.revokeSession(ALICE))
    assertEquals((error as { code?: string }).code, 'STORE_UNREACHABLE')
    cache.isDown = false
    assert(cache.peek(sessionKey(ALICE) as string) !== undefined)
    assertEquals(await sessions.validateSession(ALICE), null)
    assertEquals(await sessions.revokeSession(ALICE), false)
    assertEquals(cache.peek(sessionKey(ALICE) as string), undefined)
  })

  it('answers from the database where the cache can’t, and one query serves all who ask', async () => {
    cache.isBroken = true
    const found = await Promise.all(Array.from({ length: 50 }, () => sessions.validateSession(ALICE)))
    assertEquals(new Set(found.map((one) => one?.id)), new Set(['s1']))
    assertEquals(database.asked, 1)
    cache.isBroken = false
    cache.isDown = true
    assertEquals((await sessions.validateSession(BOB))?.id, 's2')
    const login = { id: 's2', userId: 'u', expiresAt: new Date(clock.nowMs() + 1000) }
    assertEquals(await sessions.warmSession(BOB, login), 'not_cached')
  })

  it('throws the database’s error, with no token, prefix or password in any part of it', async () => {
    for (const token of [ALICE, BOB, 'short']) {
      database.failure = Object.assign(new Error(`no such row (${token}) at postgres://me:secret@host/db`), {
        code: '57P03',
        detail: `Key (token)=(${token.slice(0, 16)}) in ${sessionKey(token)}`,
        cause: new Error(token),
      })
      const error = (await assertRejects(() => sessions.validateSession(token))) as Error & { code?: string }
      assertEquals(error.code, '57P03')
      assertNoSecret(error, token)
      database.failure = undefined
      cache.isDown = true
      if (token !== 'short') assertNoSecret(await assertRejects(() => sessions.revokeSession(token)), token)
      cache.isDown = false
    }
    await sessions.warmSession(BOB, { id: 's2', userId: 'u', expiresAt: 'infinity' })
    for (const token of [ALICE, BOB]) assertNoSecret(lines, token)
  })

  it('says which field of a login is wrong, and never its value', async () => {
    const good = { id: 's1', userId: 'u', expiresAt: new Date(clock.nowMs() + 1000) }
    for (const [bad, field] of [
      [{ ...good, id: '' }, 'id is empty'],
      [{ ...good, userId: undefined as never }, 'userId is missing'],
      [{ ...good, expiresAt: 'soon' }, 'expiresAt is no time'],
      [{ ...good, expiresAt: new Date(Number.NaN) }, 'expiresAt is no valid date'],
      [{ ...good, roles: ['admin'] }, 'roles is object'],
      [{ ...good, token: BOB }, 'token is another one'],
    ] as const) {
      const error = (await assertRejects(() => sessions.warmSession(ALICE, bad))) as Error & { code?: string }
      assertEquals(error.code, 'VALUE_INVALID')
      assert(error.message.includes(field), error.message)
      assertNoSecret(error, BOB)
    }
    assertEquals(cache.entries.size, 0)
  })

  it('knows text that can be no token, and asks nobody', async () => {
    for (const token of ['', 'a\0b', '\ud800 is half a character', undefined as never]) {
      assertEquals(await sessions.validateSession(token), null)
      assertEquals(await sessions.revokeSession(token), false)
    }
    assertEquals(database.asked, 0)
    const short = session('0123456789abcdef', 's4')
    database.rows.set('0123456789abcdef', short)
    assertEquals((await sessions.validateSession('0123456789abcdef'))?.id, 's4', 'too short for a key')
    assertEquals(cache.entries.size, 0)
  })

  it('keeps its keys under the prefix, and refuses options out of bounds', async () => {
    await open({ keyPrefix: 'shop:' }).validateSession(ALICE)
    assertEquals([...cache.entries.keys()], ['shop:session:alice-has-a-toka'])
    assertThrows(() => open({ ttl: 0 }), RangeError, 'ttl must be from 1 ms')
    assertThrows(() => open({ negativeTtl: 'soon' }), RangeError, 'negativeTtl')
    const forgetful = open({ negativeTtl: 0 })
    for (let times = 0; times < 2; times++) await forgetful.validateSession('nobody-has-this-token')
    assertEquals(database.asked, 3)
  })
})

/** Neither the token, nor its prefix, nor its key, nor a password. */
function assertNoSecret(thing: unknown, token: string): void {
  const seen = JSON.stringify(allOf(thing))
  for (const secret of [token, token.slice(0, 16), sessionKey(token)?.slice(8) ?? token, 'secret'])
    assert(!seen.includes(secret), `'${secret}' is in ${seen}`)
}

/** Every property, also those that do not enumerate. */
function allOf(thing: unknown): unknown {
  if (Array.isArray(thing)) return thing.map(allOf)
  if (typeof thing !== 'object' || thing === null) return thing
  return Object.fromEntries(Object.getOwnPropertyNames(thing).map((name) => [name, allOf((thing as never)[name])]))
}
