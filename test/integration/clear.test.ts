import { after, before, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { Redis } from 'ioredis'
import { clear } from '../../src/clear.ts'
import { systemClock } from '../../src/clock.ts'
import { load } from '../../src/config/define.ts'
import { matching } from '../../src/matching.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { configOf } from '../fakes/tasks.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const task = (key: string) => load({ key, load: () => new Map() })
const { tasks } = configOf({ users: task('user:{id}'), pairs: task('{a}:{b}:pair') })
const { signal } = new AbortController()

describe('keys of known keyspaces in Redis', () => {
  let server: RedisServer
  let redis: Redis
  let store: RedisStore
  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
    store = new RedisStore({ url: server.url, clock: systemClock(currentRuntime().nowNs) })
    await store.connect(5000)
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.flushall()
    for (let at = 0; at < 5000; at += 500) {
      const numbers = Array.from({ length: 500 }, (_, index) => at + index)
      await redis.mset(...numbers.flatMap((n) => [`user:${n}`, 'x', `other:${n}`, 'x', `user:${n}:name`, 'x']))
    }
    await redis.mset('prewarm:x:pair', '1', 'cache:warmup:pair', '1', 'a:b:pair', '1', 'session', '1')
  })
  after(async () => {
    redis.disconnect()
    await store.close()
    await server.stop()
  })

  it('are deleted by glob, and by task, and nothing else is', TIMEOUT, async () => {
    const dry = await clear({ tasks, what: { pattern: 'user:1*' }, dryRun: true, store, signal })
    assertEquals([dry.matched, dry.deleted, await redis.dbsize()], [1111, 0, 15_004])
    const some = await clear({ tasks, what: { pattern: 'user:1*' }, dryRun: false, store, signal })
    // One more: what was changed is remembered.
    assertEquals([some.matched, some.deleted, await redis.dbsize()], [1111, 1111, 15_004 - 1111 + 1])
    assertEquals([await redis.exists('user:1'), await redis.exists('user:2', 'user:1:name', 'other:1')], [0, 3])
    const all = await clear({ tasks, what: { task: 'users' }, dryRun: false, store, signal })
    assertEquals([all.deleted, await redis.dbsize()], [5000 - 1111, 10_004 + 1])
    const rest = await clear({ tasks, what: { pattern: '*' }, dryRun: false, store, signal })
    assertEquals([rest.deleted, rest.sample], [1, ['a:b:pair']])
    assertEquals(await redis.exists('prewarm:x:pair', 'cache:warmup:pair', 'session'), 3)
  })

  it('are found by glob, each once, and no more than wanted', TIMEOUT, async () => {
    const find = (pattern: string, limit: number) =>
      matching({ tasks, pattern, limit, store, list: async () => [], signal })
    const { keys, truncated } = await find('user:4?', 1000)
    assertEquals([keys.sort(), truncated], [Array.from({ length: 10 }, (_, at) => `user:4${at}`), false])
    assertEquals((await find('*pair', 9)).keys, ['a:b:pair'])
    const cut = await find('user:*', 100)
    assertEquals([new Set(cut.keys).size, cut.truncated], [100, true])
    assertEquals((await find('user:*', 5000)).truncated, false)
  })
})
