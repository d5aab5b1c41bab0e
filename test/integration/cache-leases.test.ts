import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { RedisStore } from '../../src/store/redis.ts'
import { openCache } from '../support/caches.ts'
import { clock, until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

describe('a reader’s refresh and a warm-up of the same key', () => {
  let server: RedisServer
  let store: RedisStore
  before(async () => {
    server = await startRedisServer()
    store = new RedisStore({ url: server.url, clock })
    await store.connect(5000)
  })
  after(async () => {
    await store.close()
    await server.stop()
  })

  it('what the warm-up has written meanwhile is not replaced by what the reader had read before', async () => {
    const cache = await openCache(server.url, { memory: false })
    try {
      await cache.get('k', { load: () => 'first' })
      const held = Promise.withResolvers<string>()
      let isLoading = false
      const refreshing = cache.get('k', {
        fresh: true,
        load: () => {
          isLoading = true
          return held.promise
        },
      })
      await until(() => isLoading)
      const ticket = await store.begin()
      const entry = { key: 'k', ttlMs: 60_000, encoded: { type: 'string', value: '"warmed"' } } as const
      const options = { mode: 'overwrite', versionField: null, timeoutMs: 5000, ticket } as const
      const { outcomes } = await store.write([entry], { ...options, signal: new AbortController().signal })
      assertEquals(outcomes, ['written'])
      held.resolve('older')
      assertEquals([await refreshing, await cache.get('k')], ['older', 'warmed'])
    } finally {
      await cache.close()
    }
  })
})
