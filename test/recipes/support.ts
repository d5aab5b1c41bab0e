import { Redis } from 'ioredis'
import postgres from 'postgres'
import { createWarmer, type JobRequest, type JobResult } from '../../src/index.ts'
import { type RedisServer, startPostgresServer, startRedisServer, type TestServer } from '../support/servers.ts'

/** A real Redis and a real Postgres with a client on each, and a way to warm by a recipe's own configuration file. */
export interface Ground {
  readonly redis: Redis
  readonly sql: postgres.Sql
  readonly urls: { redis: string; database: string }
  run(request?: JobRequest): Promise<JobResult>
  keys(): Promise<string[]>
  stop(): Promise<void>
}

/** @param file relative to src/ */
export async function openGround(file: string): Promise<Ground> {
  const servers: TestServer[] = []
  try {
    const redisServer: RedisServer = await startRedisServer()
    servers.push(redisServer)
    const postgresServer = await startPostgresServer()
    servers.push(postgresServer)
    const redis = new Redis(redisServer.url)
    const sql = postgres(postgresServer.url, { max: 2, onnotice: () => {} })
    const urls = { redis: redisServer.url, database: postgresServer.url }
    return {
      redis,
      sql,
      urls,
      async run(request = {}) {
        const path = `${import.meta.dirname}/../../src/${file}`
        await using warmer = await createWarmer({
          file: path,
          redisUrl: urls.redis,
          databaseUrl: urls.database,
          env: {},
        })
        return await warmer.submit(request).result
      },
      keys: async () => (await redis.keys('*')).sort(),
      async stop() {
        redis.disconnect()
        await sql.end({ timeout: 1 })
        await Promise.all(servers.map((server) => server.stop()))
      },
    }
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()))
    throw error
  }
}

/** True of a TTL just written: up to a tenth early by jitter, less what a slow machine takes to look. */
export function isFresh(leftMs: number, ttlMs: number): boolean {
  return leftMs <= ttlMs && leftMs > ttlMs * 0.9 - 20_000
}
