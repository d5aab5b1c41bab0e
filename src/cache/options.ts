import { z } from 'zod'
import { type Duration, parseDuration } from '../config/duration.ts'
import { BOUNDS, duration, flag, number } from '../config/fields.ts'
import { PrewarmError } from '../errors.ts'
import type { EntryOptions, GetOptions } from './types.ts'

/** How a cache behaves; lengths of time in ms or as text such as `'5m'`. */
export interface CacheSettings {
  /** The layer in this process; false: none. */
  memory?:
    | {
        /** 1 to 10,000,000. @default 1000 */
        maxItems?: number
        /** Bound on the sum of what the entries take, about. 1 to 1 TB. @default none */
        maxBytes?: number
        /** Longest time without a look into Redis. @default '30s' */
        ttl?: Duration
      }
    | false
  /** How long values are fresh that belong to no keyspace. @default '1h', or the configuration's `defaultTtl` */
  defaultTtl?: Duration
  /** Share of a TTL by which a value may expire early, 0 to 1, fixed per key. @default 0.1 */
  ttlJitter?: number
  /** How long after that a value that was loaded is served while one reader refreshes it; at most half of its TTL. @default '30s' */
  grace?: Duration
  /** How long "the origin has none" is remembered; 0: not at all. @default '10s' */
  negativeTtl?: Duration
  /** Longest wait for Redis before a reader goes to the origin. 1 ms to 1 day. @default 50 */
  redisTimeout?: Duration
  /** Bound on one load, and on its wait for a place among `maxLoads`. @default '5s'; of a keyspace's load its `timeoutMs` */
  loadTimeout?: Duration
  /** Longest time that other processes' readers wait for one that loads; then they load, too. @default '3s' */
  waitTime?: Duration
  /** Loads at once in this process; a batch is one, and at most half of them are refreshes. 1 to 10,000. @default 32 */
  maxLoads?: number
  /** Loads that may wait for that, each for `loadTimeout`; more are refused. 1 to 1,000,000. @default 10_000 */
  maxWaitingLoads?: number
  /** How early values are refreshed before they are due (XFetch's beta); 0: not before. 0 to 100. @default 1 */
  refreshAhead?: number
  /** Hears of keys that other programs delete; Redis needs `notify-keyspace-events` with `Eg`. @default false */
  keyspaceEvents?: boolean
}

/** The same with every default filled in. */
export interface CacheLimits {
  maxItems: number
  maxBytes: number | undefined
  memoryTtlMs: number
  defaultTtlMs: number
  ttlJitter: number
  graceMs: number
  negativeTtlMs: number
  redisTimeoutMs: number
  loadTimeoutMs: number
  waitMs: number
  maxLoads: number
  maxWaiting: number
  beta: number
  keyspaceEvents: boolean
}

const schema = z.strictObject({
  memory: z
    .union([
      z.literal(false),
      z.strictObject({
        maxItems: number([1, 10_000_000, true]).optional(),
        maxBytes: number([1, 1e12, true]).optional(),
        ttl: duration(BOUNDS.ttlMs).optional(),
      }),
    ])
    .optional(),
  defaultTtl: duration(BOUNDS.ttlMs).optional(),
  ttlJitter: number(BOUNDS.share).optional(),
  grace: duration([0, BOUNDS.ttlMs[1], false]).optional(),
  negativeTtl: duration([0, BOUNDS.ttlMs[1], false]).optional(),
  redisTimeout: duration(BOUNDS.timeoutMs).optional(),
  loadTimeout: duration(BOUNDS.timeoutMs).optional(),
  waitTime: duration(BOUNDS.delayMs).optional(),
  maxLoads: number([1, 10_000, true]).optional(),
  maxWaitingLoads: number(BOUNDS.count).optional(),
  refreshAhead: number([0, 100, false]).optional(),
  keyspaceEvents: flag.optional(),
})

/** @throws {PrewarmError} `USAGE` with a line for each mistake: the option, its value, what was expected */
export function settleCache(given: CacheSettings, defaultTtlMs: number): CacheLimits {
  const checked = schema.safeParse(given)
  if (!checked.success) throw mistakes(checked.error, given)
  const { memory = {} } = given
  return {
    maxItems: memory === false ? 0 : (memory.maxItems ?? 1000),
    maxBytes: memory === false ? undefined : memory.maxBytes,
    memoryTtlMs: (memory === false ? undefined : ms(memory.ttl)) ?? 30_000,
    defaultTtlMs: ms(given.defaultTtl) ?? defaultTtlMs,
    ttlJitter: given.ttlJitter ?? 0.1,
    graceMs: ms(given.grace) ?? 30_000,
    negativeTtlMs: ms(given.negativeTtl) ?? 10_000,
    redisTimeoutMs: ms(given.redisTimeout) ?? 50,
    loadTimeoutMs: ms(given.loadTimeout) ?? 5000,
    waitMs: ms(given.waitTime) ?? 3000,
    maxLoads: given.maxLoads ?? 32,
    maxWaiting: given.maxWaitingLoads ?? 10_000,
    beta: given.refreshAhead ?? 1,
    keyspaceEvents: given.keyspaceEvents ?? false,
  }
}

/** The lengths of time in one call's options, in ms. @throws {PrewarmError} `USAGE` naming the option */
export function entryTimes({ ttl, grace, negativeTtl }: EntryOptions & Pick<GetOptions<unknown>, 'negativeTtl'>): {
  ttlMs: number | undefined
  graceMs: number | undefined
  negativeTtlMs: number | undefined
} {
  return {
    ttlMs: time('ttl', ttl, 1),
    graceMs: time('grace', grace, 0),
    negativeTtlMs: time('negativeTtl', negativeTtl, 0),
  }
}

function time(name: string, value: Duration | undefined, min: number): number | undefined {
  if (value === undefined) return undefined
  const given = parseDuration(value)
  const [, max] = BOUNDS.ttlMs
  if (given !== null && given >= min && given <= max) return given
  const shown = typeof value === 'string' ? `'${value}'` : String(value)
  throw new PrewarmError(
    'USAGE',
    `${name} is ${shown}, expected ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from ${min} to ${max} ms`,
  )
}

function ms(value: Duration | undefined): number | undefined {
  return value === undefined ? undefined : (parseDuration(value) as number)
}

function mistakes(error: z.ZodError, given: object): PrewarmError {
  const lines = error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${[...issue.path, key].join('.')} is no option of a cache`).join('\n')
    let value: unknown = given
    for (const step of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[step]
    const shown = typeof value === 'string' ? `'${value}'` : typeof value === 'object' ? 'an object' : String(value)
    const expected =
      issue.code === 'invalid_union' ? 'expected { maxItems, maxBytes, ttl } within bounds, or false' : issue.message
    return `${issue.path.join('.')} is ${shown}, ${expected}`
  })
  return new PrewarmError('USAGE', lines.join('\n'))
}
