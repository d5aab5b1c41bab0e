import { Redis } from 'ioredis'
import { PrewarmError, redact } from '../errors.ts'

/** The few things that the demo itself does with Redis, as an application would. */
export interface DemoRedis {
  readonly url: string
  get(key: string): Promise<string | null>
  set(key: string, value: string, ttlMs: number): Promise<void>
  /** Removes every key that begins with `prefix`; tells how many. */
  removeAll(prefix: string): Promise<number>
  close(): void
}

/** @throws {PrewarmError} `STORE_UNREACHABLE` at once if there is none, within 4 s if it does not answer */
export async function openDemoRedis(url: string): Promise<DemoRedis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 4000,
    retryStrategy: null, // a demo that loses its Redis is over
    connectionName: 'prewarm-demo',
  })
  let reason: Error | undefined
  redis.on('error', (error) => {
    reason = error
  })
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    const { message } = reason ?? (error as Error)
    throw new PrewarmError('STORE_UNREACHABLE', redact(`Cannot reach Redis at ${url}: ${message}`), { cause: error })
  }
  return {
    url,
    get: (key) => redis.get(key),
    async set(key, value, ttlMs) {
      await redis.set(key, value, 'PX', ttlMs)
    },
    async removeAll(prefix) {
      let removed = 0
      let cursor = '0'
      do {
        const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000)
        if (keys.length > 0) removed += await redis.unlink(...keys)
        cursor = next
      } while (cursor !== '0')
      return removed
    },
    close: () => redis.disconnect(),
  }
}

export interface LookAsideOptions<Id> {
  redis: DemoRedis
  keyOf(id: Id): string
  /** Asks the origin; undefined if it has no such thing. */
  load(id: Id): Promise<unknown>
  ttlMs: number
}

/** The plain look-aside cache that most applications have: ask Redis; on a miss ask the origin and leave the answer in Redis. */
export class LookAsideReader<Id> {
  readonly #options: LookAsideOptions<Id>
  hits = 0
  originQueries = 0

  constructor(options: LookAsideOptions<Id>) {
    this.#options = options
  }

  async read(id: Id): Promise<unknown> {
    const { redis, keyOf, load, ttlMs } = this.#options
    const key = keyOf(id)
    const cached = await redis.get(key)
    if (cached !== null) {
      this.hits++
      return JSON.parse(cached)
    }
    this.originQueries++
    const value = await load(id)
    if (value !== undefined) await redis.set(key, JSON.stringify(value), ttlMs)
    return value
  }
}
