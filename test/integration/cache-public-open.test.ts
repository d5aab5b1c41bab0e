import { after, afterEach, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { cacheDesk } from '../support/public-cache.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('createCache: open points', () => {
  let server: RedisServer
  let redis: Redis
  const desk = cacheDesk(() => server.url)
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  afterEach(async () => {
    await desk.closeAll()
    await redis.flushall()
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  it('one of a short ttl is a hit, and is kept in memory', TIMEOUT, async () => {
    const [writer, reader] = [await desk.open({ refreshAhead: 0 }), await desk.open({ refreshAhead: 0 })]
    for (const grace of [undefined, 0]) {
      await writer.set('k', 1, { ttl: '20s', ...(grace === undefined ? {} : { grace }) })
      const { status, ttlMs } = await reader.read('k')
      assertEquals(status, 'hit', `grace ${grace}: fresh for another ${ttlMs} ms`)
      assert(ttlMs > 10_000 && ttlMs <= 20_000, `grace ${grace}: fresh for another ${ttlMs} ms`)
      assertEquals((await reader.read('k')).tier, 'memory')
    }
  })

  it('one of a long grace is not fresh for longer than its ttl', TIMEOUT, async () => {
    const [writer, reader] = [await desk.open({ refreshAhead: 0 }), await desk.open({ refreshAhead: 0 })]
    await writer.set('k', 1, { ttl: '1h', grace: '10m' })
    const { ttlMs } = await reader.read('k')
    assert(ttlMs <= 3_600_000, `a ttl of 3600000 ms, fresh for another ${ttlMs} ms`)
  })

  it('one of another program, with a short end, is a hit, and is kept in memory', TIMEOUT, async () => {
    const reader = await desk.open({ refreshAhead: 0 })
    await redis.set('k', '1', 'EX', 20)
    const { status, ttlMs } = await reader.read('k')
    assertEquals(status, 'hit', `fresh for another ${ttlMs} ms`)
    assertEquals((await reader.read('k')).tier, 'memory')
  })

  it('one that nothing can refresh is not served after its ttl', TIMEOUT, async () => {
    const cache = await desk.open({ refreshAhead: 0, ttlJitter: 0 })
    await cache.set('k', 1, { ttl: '2s' })
    const endMs = Date.now() + 2000
    await until(() => Date.now() > endMs)
    assertEquals([await cache.get('k'), await cache.has('k')], [undefined, false])
  })

  it('a value that can not be kept is named by its key', TIMEOUT, async () => {
    const cache = await desk.open()
    for (const value of [undefined, 1n]) {
      const error = await assertRejects(() => cache.setMany([['fine', 1], ['wrong', value]])) // biome-ignore format: pairs
      assert(String(error).includes("'wrong'"), String(error))
    }
  })

  it('one text as tags is refused, not taken for a list of letters', TIMEOUT, async () => {
    const cache = await desk.open()
    await assertRejects(() => cache.set('k', 1, { tags: 'abc' as unknown as string[] }), Error, "tags is 'abc'")
  })
})
