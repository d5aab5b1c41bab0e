/** The caches people use today, each over memory and Redis, set up as its own guide shows. */
import KeyvRedis, { createKeyv as createKeyvRedis } from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { createCache as createCacheManager } from 'cache-manager'
import { Cacheable, createKeyv } from 'cacheable'
import { Redis } from 'ioredis'
import { createCache } from '../../src/compose-cache.ts'
import { PROFILE_TTL_MS, type Profile } from './profiles.ts'
import { slices } from './redis.ts'

/** One library, as all are used here. */
export interface Rival {
  name: string
  /** It can't read from Redis what it has not written into memory itself. */
  memoryOnly?: boolean
  get(key: string): Promise<Profile | undefined | null>
  /** Reads through: the library's own way to load what is missing. */
  getOrLoad(key: string, load: () => Promise<Profile>): Promise<Profile | undefined | null>
  /** How many of `keys` it found. */
  getMany(keys: string[]): Promise<number>
  /** Into both layers, or into Redis only; whatever is quickest. */
  fill(entries: readonly (readonly [string, Profile])[]): Promise<unknown>
  close(): Promise<unknown>
}

/** Items that each holds in memory. */
export const MEMORY_ITEMS = 1000

const found = (values: readonly unknown[]) => values.filter((value) => value !== undefined && value !== null).length

export async function openPrewarm(url: string): Promise<Rival> {
  const cache = await createCache({
    redis: url,
    env: {},
    memory: { maxItems: MEMORY_ITEMS },
    // The others wait for ever: on a busy machine it is to be compared what is read, not what is given up.
    redisTimeout: '5s',
    defaultTtl: PROFILE_TTL_MS,
  })
  return {
    name: 'prewarm',
    get: (key) => cache.get<Profile>(key),
    getOrLoad: (key, load) => cache.get<Profile>(key, { load }),
    getMany: async (keys) => (await cache.getMany(keys)).size,
    fill: async (entries) => {
      for (const slice of slices(entries, 500)) await cache.setMany(slice)
    },
    close: () => cache.close(),
  }
}

export async function openCacheable(url: string): Promise<Rival> {
  const primary = createKeyv({ ttl: PROFILE_TTL_MS, lruSize: MEMORY_ITEMS })
  const cache = new Cacheable({ primary, secondary: new KeyvRedis(url) as never, ttl: PROFILE_TTL_MS })
  return {
    name: 'cacheable',
    get: (key) => cache.get<Profile>(key),
    getOrLoad: (key, load) => cache.getOrSet(key, load),
    getMany: async (keys) => found(await cache.getMany(keys)),
    fill: async (entries) => {
      for (const slice of slices(entries, 500)) await cache.setMany(slice.map(([key, value]) => ({ key, value })))
    },
    close: () => cache.disconnect(),
  }
}

export async function openCacheManager(url: string): Promise<Rival> {
  const memory = createKeyv({ ttl: PROFILE_TTL_MS, lruSize: MEMORY_ITEMS })
  const stores = [memory, createKeyvRedis(url)] as never
  const cache = createCacheManager({ stores, ttl: PROFILE_TTL_MS })
  return {
    name: 'cache-manager',
    get: (key) => cache.get<Profile>(key),
    getOrLoad: (key, load) => cache.wrap(key, load),
    getMany: async (keys) => found(await cache.mget(keys)),
    fill: async (entries) => {
      for (const slice of slices(entries, 500)) await cache.mset(slice.map(([key, value]) => ({ key, value })))
    },
    close: () => cache.disconnect(),
  }
}

/**
 * `serialize: false`: values in memory as they are, which its guide offers. Version 1.6.1 then throws when it reads from memory
 * what it has promoted from Redis, so that only reads of what it has set itself can be timed.
 */
export async function openBentocache(url: string, serialize = true): Promise<Rival> {
  const connection = new Redis(url)
  const store = bentostore()
    .useL1Layer(memoryDriver({ maxItems: MEMORY_ITEMS, serialize }))
    .useL2Layer(redisDriver({ connection: connection as never }))
    .useBus(redisBusDriver({ connection: connection.duplicate() as never }))
  const cache = new BentoCache({ default: 'both', ttl: PROFILE_TTL_MS, stores: { both: store } })
  return {
    name: serialize ? 'bentocache' : 'bentocache, serialize: false',
    memoryOnly: !serialize,
    get: (key) => cache.get<Profile>({ key }),
    getOrLoad: (key, factory) => cache.getOrSet({ key, factory }),
    // It has no way to read many at once.
    getMany: async (keys) => found(await Promise.all(keys.map((key) => cache.get({ key })))),
    fill: async (entries) => {
      for (const slice of slices(entries, 500)) {
        await Promise.all(slice.map(([key, value]) => cache.set({ key, value })))
      }
    },
    close: () => cache.disconnectAll(),
  }
}
