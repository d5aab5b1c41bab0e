import { after, before, beforeEach, describe } from 'node:test'
import type { Redis } from 'ioredis'
import { RedisJobLog } from '../../src/coordination/job-log.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { RedisScheduleStore } from '../../src/coordination/schedule-store.ts'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import { jobLogContract } from '../contract/job-log.contract.ts'
import { locksContract } from '../contract/locks.contract.ts'
import { scheduleStoreContract } from '../contract/schedule-store.contract.ts'
import { clock, commandsTo, looker } from '../support/coordination.ts'
import { startRedisServer } from '../support/servers.ts'

const SERVERS = { 'redis-server': () => startRedisServer(), 'embedded Valkey': () => startEmbeddedRedis() }

for (const [name, start] of Object.entries(SERVERS)) {
  describe(`on ${name}`, () => {
    let server: { url: string; stop(): Promise<void> }
    let redis: Redis
    before(async () => {
      server = await start()
      redis = looker(server.url)
    })
    beforeEach(() => redis.flushall())
    after(async () => {
      redis.disconnect()
      await server.stop()
    })
    const commandsOf = () => commandsTo(server.url)

    locksContract('RedisLocks', async () => {
      const both = [commandsOf(), commandsOf()] as const
      const [one, other] = both.map((commands) => new RedisLocks({ commands, clock })) as [RedisLocks, RedisLocks]
      return {
        one,
        other,
        expire: async (name) => void (await redis.del(`cache:warmup:lock:${name}`)),
        cleanUp: async () => void (await Promise.all(both.map((commands) => commands.close()))),
      }
    })

    jobLogContract('RedisJobLog', async () => {
      const commands = commandsOf()
      return { log: new RedisJobLog({ commands, clock, instance: 'here' }), cleanUp: () => commands.close() }
    })

    scheduleStoreContract('RedisScheduleStore', async () => {
      const commands = commandsOf()
      return { store: new RedisScheduleStore({ commands }), cleanUp: () => commands.close() }
    })
  })
}
