import { beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import {
  createUserCache,
  type FoundUser,
  type UserCacheOptions,
  type UserLoaders,
  type UserPart,
  userKey,
} from '../../src/recipes/users/index.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCache } from './fake-cache.ts'

describe('user cache', () => {
  let clock: FakeClock
  let cache: FakeCache
  let calls: { what: string; atMs: number }[]
  /** What a loader does instead of answering at once. */
  let instead: Partial<Record<UserPart | 'top' | 'search', (signal: AbortSignal) => Promise<unknown>>>
  let lines: Record<string, unknown>[]

  beforeEach(() => {
    clock = new FakeClock()
    cache = new FakeCache(clock)
    calls = []
    instead = {}
    lines = []
  })

  function loaders(): UserLoaders {
    const part = (what: UserPart) => async (userIds: readonly string[], signal: AbortSignal) => {
      calls.push({ what, atMs: clock.elapsedMs })
      const other = await instead[what]?.(signal)
      return new Map(userIds.filter((id) => id !== 'nobody').map((id) => [id, other ?? { what, id }]))
    }
    return {
      ...{ profile: part('profile'), settings: part('settings'), recent: part('recent'), forms: part('forms') },
      async top({ limit }, signal) {
        calls.push({ what: 'top', atMs: clock.elapsedMs })
        await instead.top?.(signal)
        return Array.from({ length: Math.min(limit, 25) }, (_, at) => `user-${at}`)
      },
      async search({ text, limit }, signal) {
        calls.push({ what: `search ${text} ${limit}`, atMs: clock.elapsedMs })
        await instead.search?.(signal)
        return [{ id: '1', email: `${text}@example.com`, username: null, firstName: null, lastName: null } as FoundUser]
      },
    }
  }

  function open(options: Partial<UserCacheOptions> = {}) {
    const log = {
      info: (_message: string, line: Record<string, unknown>) => void lines.push({ level: 'info', ...line }),
      warn: (_message: string, line: Record<string, unknown>) => void lines.push({ level: 'warn', ...line }),
    }
    return createUserCache({ cache, clock, log, loaders: loaders(), ...options } as UserCacheOptions)
  }

  const callsOf = (what: string) => calls.filter((one) => one.what === what).map(({ atMs }) => atMs)

  it('warms each part of a user under its own key, the forms on demand', async () => {
    const users = open()
    assertEquals(await users.warmUserData('7'), {
      warmed: ['profile', 'settings', 'recent'],
      skipped: [],
      failed: [],
      durationNs: 0,
    })
    assertEquals(cache.peek(userKey('forms', '7')), undefined)
    assertEquals((await users.warmUserData('7', { preloadForms: true })).warmed.at(-1), 'forms')
    for (const what of ['profile', 'settings', 'recent', 'forms'] as const)
      assertEquals(cache.peek(`user:7:${what}`), { what, id: '7' })
    assertEquals([lines.length, lines[0]?.level, lines[0]?.user_id], [2, 'info', '7'])
  })

  it('tries three times more, after 1, 2 and 4 s, and says what failed while the rest is warm', async () => {
    instead.settings = () => Promise.reject(new Error('no route to postgres://me:secret@db/users'))
    const result = await clock.until(open().warmUserData('7'))
    assertEquals(callsOf('settings'), [0, 1000, 3000, 7000])
    assertEquals(result.warmed, ['profile', 'recent'])
    assertEquals(result.failed, [
      { what: 'settings', code: 'ORIGIN_FAILED', message: 'no route to postgres://***@db/users' },
    ])
    assertEquals([result.durationNs, lines[0]?.level, clock.pending], [7e9, 'warn', 0])
  })

  it('stops trying at the first success, and at once for what can’t pass', async () => {
    instead.profile = async () => {
      if (callsOf('profile').length < 2) throw new Error('not yet')
    }
    instead.recent = () => Promise.reject(Object.assign(new Error('column "x" does not exist'), { code: '42703' }))
    const result = await clock.until(open().warmUserData('7'))
    assertEquals([callsOf('profile'), callsOf('recent')], [[0, 1000], [0]])
    assertEquals(result.warmed, ['profile', 'settings'])
  })

  it('gives a try a second, tells it to stop, and writes nothing that it brings later', async () => {
    const { promise: slow, resolve: arrive } = Promise.withResolvers<void>()
    const signals: AbortSignal[] = []
    instead.profile = async (signal) => {
      signals.push(signal)
      if (signals.length > 1) return { what: 'newer' }
      await slow
      return { what: 'older' }
    }
    const result = await clock.until(open().warmUserData('7'))
    assertEquals([callsOf('profile'), signals[0]?.aborted, signals[1]?.aborted], [[0, 2000], true, false])
    assertEquals(result.warmed, ['profile', 'settings', 'recent'])
    cache.entries.clear() // even where the cache has forgotten that there was a newer one
    arrive()
    await clock.advance(0)
    assertEquals(cache.peek('user:7:profile'), undefined)
  })

  it('reports a part that always takes too long', async () => {
    instead.forms = () => new Promise(() => {})
    const { warmed, failed } = await clock.until(open({ retries: 1 }).warmUserData('7', { preloadForms: true }))
    assertEquals(warmed, ['profile', 'settings', 'recent'])
    assertEquals(failed, [{ what: 'forms', code: 'ORIGIN_TIMEOUT', message: 'Warming forms took longer than 1000 ms' }])
    assertEquals([callsOf('forms'), clock.pending], [[0, 2000], 0])
  })

  it('skips what is not there, and what was changed meanwhile', async () => {
    assertEquals(
      (await open().warmUserData('nobody')).skipped,
      (['profile', 'settings', 'recent'] as const).map((what) => ({ what, why: 'no_value' })),
    )
    instead.profile = async () => void (await cache.delete('user:7:profile'))
    assertEquals((await open().warmUserData('7')).skipped, [{ what: 'profile', why: 'skipped_newer' }])
    assertEquals((await open().warmUserData('')).failed[0]?.code, 'KEY_INVALID')
  })

  it('warms the top users, so many at once and each of them, though some fail', async () => {
    let now = 0
    let most = 0
    instead.profile = async () => {
      most = Math.max(most, ++now)
      await clock.sleep(10)
      now--
    }
    instead.settings = async () => {
      if (callsOf('settings').length % 5 === 0) throw Object.assign(new Error('bad'), { code: '42P01' })
    }
    const result = await clock.until(open({ concurrency: 4 }).warmTopUsers({ limit: 20 }))
    assertEquals([result.users, result.warmed, result.skipped, result.failed.length, most], [20, 56, 0, 4, 4])
    assertEquals(new Set(result.failed.map(({ userId }) => userId)).size, 4)
    for (let at = 0; at < 20; at++) assert(cache.peek(`user:user-${at}:recent`) !== undefined, `user-${at}`)
  })

  it('says that the top users could not be listed', async () => {
    instead.top = () => Promise.reject(new Error('away'))
    const result = await clock.until(open().warmTopUsers())
    assertEquals([result.users, result.warmed, callsOf('top')], [0, 0, [0, 1000, 3000, 7000]])
    assertEquals(result.failed, [{ what: 'top', code: 'ORIGIN_FAILED', message: 'away' }])
  })

  it('searches through the cache, once for what means the same', async () => {
    const users = open({ keyPrefix: 'shop:' })
    const found = await users.searchUsers('  Ann\u00a0 LEE ')
    assertEquals(await users.searchUsers('ann lee'), found)
    assertEquals(found[0]?.email, 'ann lee@example.com')
    assertEquals(await users.searchUsers(' \0 '), [])
    await users.searchUsers('ann lee', { limit: 5 })
    assertEquals(
      calls.map(({ what }) => what),
      ['search ann lee 20', 'search ann lee 5'],
    )
    assertEquals([...cache.entries.keys()], ['shop:users:search:20:ann lee', 'shop:users:search:5:ann lee'])
    instead.search = () => new Promise(() => {})
    const slow = users.searchUsers('bob')
    const error = (await clock.until(assertRejects(() => slow))) as Error & { code?: string }
    assertEquals([error.code, callsOf('search bob 20').length], ['ORIGIN_TIMEOUT', 1])
  })

  it('refuses options out of bounds', async () => {
    assertThrows(() => open({ concurrency: 0 }), RangeError, 'concurrency')
    assertThrows(() => open({ retries: 1.5 }), RangeError, 'retries')
    assertThrows(() => open({ timeout: '0s' }), RangeError, 'timeout')
    await assertRejects(() => open().warmTopUsers({ limit: 0 }), RangeError, 'limit')
    await assertRejects(() => open().warmTopUsers({ windowHours: 9000 }), RangeError, 'windowHours')
    await assertRejects(() => open().searchUsers('x'.repeat(101)), RangeError, '101')
    await assertRejects(() => open().searchUsers('x', { limit: 1001 }), RangeError, 'limit')
  })
})
