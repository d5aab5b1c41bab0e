import { fileURLToPath } from 'node:url'
import type { Sql } from 'postgres'
import { startEmbeddedPostgres } from '../embedded/postgres.ts'
import { startEmbeddedRedis } from '../embedded/redis.ts'
import type { EmbeddedServer } from '../embedded/types.ts'
import { createWarmer, isPrewarmError, type JobRequest, type JobResult, PrewarmError, type Warmer } from '../index.ts'
import { reach } from '../inspect/reach.ts'
import { select } from '../inspect/select.ts'
import { currentRuntime } from '../runtime/index.ts'
import { createDemoSchema, dropDemoSchema } from './database.ts'
import { DEMO_PREFIX } from './names.ts'
import { type DemoRedis, openDemoRedis } from './reader.ts'

export interface StageOptions {
  /** Absent: REDIS_URL, else an embedded server. */
  redis?: string | undefined
  /** Absent: DATABASE_URL, else an embedded server. */
  database?: string | undefined
  signal: AbortSignal
  /** Told what is going on. */
  say(text: string): void
}

/** Everything a demo plays on. */
export interface Stage {
  readonly warmer: Warmer
  readonly sql: Sql
  readonly redis: DemoRedis
  readonly signal: AbortSignal
  say(text: string): void
}

type CleanUps = (() => Promise<unknown>)[]

/**
 * Sets up servers, a warmer by the configuration in `file` and the demo's own schema, runs `play`, and takes everything
 * away again, whatever happens.
 *
 * @throws {PrewarmError} `EMBEDDED_*`, `STORE_UNREACHABLE`, `ORIGIN_UNREACHABLE`, `ORIGIN_FAILED`
 */
export async function onStage<T>(file: URL, options: StageOptions, play: (stage: Stage) => Promise<T>): Promise<T> {
  const { signal, say } = options
  const { env } = currentRuntime()
  const ownRedis = options.redis || env.REDIS_URL || undefined
  const ownDatabase = options.database || env.DATABASE_URL || undefined
  const cleanUps: CleanUps = []
  try {
    const openRedis = async () => {
      const redis = await openDemoRedis(ownRedis ?? (await embedded(startEmbeddedRedis(), cleanUps)))
      // What is embedded goes away as a whole; from servers of the user's we take back what we put there.
      cleanUps.unshift(async () => {
        if (ownRedis) await redis.removeAll(DEMO_PREFIX).finally(redis.close)
        else redis.close()
      })
      return redis
    }
    const [redis, databaseUrl] = await Promise.all([
      openRedis(),
      ownDatabase ?? embedded(startEmbeddedPostgres(), cleanUps),
    ])
    say(`Servers: ${ownRedis ? 'your' : 'an embedded'} Redis, ${ownDatabase ? 'your' : 'an embedded'} Postgres`)
    signal.throwIfAborted()
    const warmer = await createWarmer({ file: fileURLToPath(file), redisUrl: redis.url, databaseUrl, onNotice: say })
    cleanUps.unshift(() => warmer.stop())
    await reach(warmer, select(warmer.config, {}), { withStore: true, signal })
    await warmer.start()
    const sql = warmer.client.user(new AbortController().signal) // we look between two steps, and the last one cleans up
    await createDemoSchema(sql)
    if (ownDatabase) cleanUps.unshift(() => dropDemoSchema(sql))
    return await play({ warmer, sql, redis, signal, say })
  } catch (error) {
    if (signal.aborted || isPrewarmError(error)) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new PrewarmError('ORIGIN_FAILED', `The demo could not go on: ${message}`, { cause: error })
  } finally {
    for (const cleanUp of cleanUps) {
      await cleanUp().catch((error: unknown) =>
        say(`Clean-up failed: ${error instanceof Error ? error.message : error}`),
      )
    }
  }
}

/** The URL of a server that is starting; it is ended even if something else has failed before it was up. */
async function embedded(starting: Promise<EmbeddedServer>, cleanUps: CleanUps): Promise<string> {
  cleanUps.push(async () => (await starting.catch(() => undefined))?.stop())
  return (await starting).url
}

/** Runs one job to its end, or cancels it when the demo is interrupted. */
export async function warmOnStage({ warmer, signal }: Stage, request: JobRequest): Promise<JobResult> {
  const job = warmer.submit(request)
  signal.addEventListener('abort', job.cancel, { once: true })
  const result = await job.result
  signal.removeEventListener('abort', job.cancel)
  return result
}
