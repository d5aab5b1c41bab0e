/** What a cache does to a key, by its own scripts. */
import type { Redis } from 'ioredis'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import type { CacheLink } from '../../src/cache/tier.ts'

/** The tier that caches share, over a test's own connection. */
export function tierOver(redis: Redis): RedisTier {
  const link: CacheLink = {
    hearing: 'nothing',
    script: ({ text }, keys, args) => redis.eval(text, keys.length, ...keys, ...args),
    async *scan() {},
    close: async () => {},
  }
  return new RedisTier({ link, leaseMs: 10_000, random: Math.random })
}

/** Writes a text that a reader has loaded just now. */
export async function fillAsReader(redis: Redis, key: string, value: string, ttlMs = 60_000): Promise<void> {
  const tier = tierOver(redis)
  const options = { lease: await tier.ticket(), replace: true, filledBy: 'read' } as const
  const [told] = await tier.fill([{ key, encoded: { type: 'string', value }, ttlMs }], options)
  if (told?.outcome !== 'written') throw new Error(`'${key}' was not filled: ${told?.outcome}`)
}
