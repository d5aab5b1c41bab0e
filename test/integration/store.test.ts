import { after, before, describe } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { storeContract } from '../contract/store.contract.ts'
import { fillAsReader } from '../support/changes.ts'
import { looker } from '../support/coordination.ts'
import { startRedisServer } from '../support/servers.ts'

const SERVERS = { 'redis-server': () => startRedisServer(), 'embedded Valkey': () => startEmbeddedRedis() }

for (const [name, start] of Object.entries(SERVERS)) {
  describe(`on ${name}`, () => {
    let server: { url: string; stop(): Promise<void> }
    before(async () => {
      server = await start()
    })
    after(() => server.stop())

    storeContract('RedisStore', async () => {
      const store = new RedisStore({ url: server.url, clock: systemClock(currentRuntime().nowNs) })
      await store.connect(5000)
      const redis = looker(server.url)
      return {
        store,
        setFence: async (key, token) => void (await redis.set(key, token)),
        fill: (key, value) => fillAsReader(redis, key, value),
        drop: async (key) => void (await redis.del(key)),
        empty: async () => void (await redis.flushall()),
        expiresAtMs: async (key) => {
          const atMs = await redis.pexpiretime(key)
          return atMs < 0 ? null : atMs
        },
        nowMs: () => Date.now(),
        async cleanUp() {
          redis.disconnect()
          await store.close()
        },
      }
    })
  })
}
