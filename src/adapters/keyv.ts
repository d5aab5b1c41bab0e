/** `prewarm/keyv`: a storage adapter for Keyv 5, and so for cache-manager 7 and cacheable. */
import { RedisTier } from '../cache/redis-tier.ts'
import { systemClock } from '../clock.ts'
import { RedisCommands } from '../coordination/redis-commands.ts'
import { PrewarmError, redact } from '../errors.ts'
import { currentRuntime } from '../runtime/index.ts'
import { CommandsLink } from './commands-link.ts'
import { KeyvStore } from './keyv-store.ts'

export interface KeyvPrewarmOptions {
  /** `redis://` or `rediss://`. The connection is made with the first call. */
  redis: string | undefined
  /** Node TLS options beyond what the URL says. */
  redisTls?: object | undefined
  /** Stands before Keyv's own namespace in Redis, for programs that share one. @default none */
  namespace?: string | undefined
}

/**
 * A Keyv storage adapter on Redis whose writes count as changes: what a warmer or a reader of `createCache` loaded before a
 * `set`, `delete` or `clear` through Keyv is not written over it. What a task with `value: 'keyv'` warms is a hit.
 *
 * A key in Redis is `<namespace>:<Keyv's namespace>:<key>`: `new Keyv({ store: new KeyvPrewarm({ redis }) })` keeps `a` under
 * `keyv:a`; with `namespace: 'app'` given to KeyvPrewarm, and `{ namespace: '', useKeyPrefix: false }` to Keyv, under `app:a`.
 * An entry without a TTL lives for ten years. Each Keyv needs an adapter of its own; `clear` only takes what is in its namespace.
 */
export class KeyvPrewarm extends KeyvStore {
  /** @throws {PrewarmError} `USAGE` for a wrong option */
  constructor({ redis, redisTls, namespace }: KeyvPrewarmOptions) {
    if (typeof redis !== 'string' || !/^rediss?:\/\//.test(redis)) {
      throw new PrewarmError('USAGE', `redis is ${redact(String(redis))}, expected a redis:// or rediss:// URL`)
    }
    const commands = new RedisCommands({ url: redis, tls: redisTls, clock: systemClock(currentRuntime().nowNs) })
    const tier = new RedisTier({ link: new CommandsLink(commands), leaseMs: 5000, random: Math.random })
    super({ tier, url: redact(redis), namespace })
  }
}
