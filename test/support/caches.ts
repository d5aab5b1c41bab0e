import { type CacheSettings, settleCache } from '../../src/cache/options.ts'
import { RedisLink } from '../../src/cache/redis-link.ts'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import type { CacheLink } from '../../src/cache/tier.ts'
import { TieredCache } from '../../src/cache/tiered.ts'
import type { CacheObserver } from '../../src/cache/types.ts'
import { systemClock } from '../../src/clock.ts'
import { buildOrigin } from '../../src/compose-worker.ts'
import type { Task } from '../../src/config/task.ts'
import { currentRuntime } from '../../src/runtime/index.ts'

const clock = systemClock(currentRuntime().nowNs)

export interface OpenOptions extends CacheSettings {
  tasks?: Iterable<Task>
  observer?: Partial<CacheObserver>
  random?: () => number
  leaseMs?: number
  /** Stands between the cache and its connection. */
  around?: (link: CacheLink) => CacheLink
}

/** A cache on a real Redis, connected, put together as `createCache` does, with a hand on its parts. */
export async function openCache(url: string, options: OpenOptions = {}): Promise<TieredCache> {
  const {
    tasks = [],
    observer = {},
    random = Math.random,
    leaseMs = 6000,
    around = (link) => link,
    ...settings
  } = options
  const limits = settleCache({ redisTimeout: 5000, ...settings }, 60_000)
  const link = new RedisLink({
    ...{ url, clock, keyspaceEvents: limits.keyspaceEvents },
    listener: { onChanged: (keys) => cache.onChanged(keys), onDeleted: (keys) => cache.onDeleted(keys) },
  })
  const cache: TieredCache = new TieredCache({
    ...{ clock, random, limits, tasks },
    tier: new RedisTier({ link: around(link), leaseMs, random: Math.random }),
    originOf: (task) => buildOrigin(task, () => never(), clock),
    observer: { read() {}, error() {}, invalidated() {}, ...observer },
    cleanUps: [() => link.close()],
  })
  await link.ready()
  return cache
}

function never(): never {
  throw new Error('no database here')
}
