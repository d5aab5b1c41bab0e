import { after, before } from 'node:test'
import type { Redis } from 'ioredis'
import { RedisLink } from '../../src/cache/redis-link.ts'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import { sharedTierContract } from '../contract/shared-tier.contract.ts'
import { sharedTierValuesContract } from '../contract/shared-tier-values.contract.ts'
import { clock, looker, sleep, until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import type { TiersUnderTest } from '../support/shared-tier.ts'

const TIMEOUT = { timeout: 60_000 }
let server: RedisServer
let redis: Redis
before(async () => {
  server = await startRedisServer()
  redis = looker(server.url)
}, TIMEOUT)
after(async () => {
  redis.disconnect()
  await server.stop()
}, TIMEOUT)

async function instance(heard: (readonly string[] | null)[]): Promise<RedisTier> {
  const link = new RedisLink({ url: server.url, clock, listener: { onChanged: (keys) => void heard.push(keys) } })
  await link.ready()
  return new RedisTier({ link, leaseMs: 5000, random: Math.random })
}

const create = async (): Promise<TiersUnderTest> => {
  await redis.flushall()
  const heard: (readonly string[] | null)[] = []
  const [one, other] = [await instance(heard), await instance([])]
  return {
    ...{ one, other, heard, until, pass: sleep },
    async put(key, value, ttlMs) {
      await redis.del(key)
      if (value.type === 'string') await redis.set(key, value.value)
      else await redis.hset(key, value.fields)
      if (ttlMs !== undefined) await redis.pexpire(key, ttlMs)
    },
    drop: async (key) => void (await redis.del(key)),
    expireLease: async (key) => void (await redis.del(`prewarm:lease:${key}`)),
    flush: async () => void (await redis.flushall()),
    cleanUp: async () => void (await Promise.all([one.close(), other.close()])),
  }
}

sharedTierContract('RedisTier', create)
sharedTierValuesContract('RedisTier', create)
