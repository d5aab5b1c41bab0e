import { getLogger } from '@logtape/logtape'
import { tellAll } from './cache/observers.ts'
import { type CacheLimits, type CacheSettings, settleCache } from './cache/options.ts'
import { RedisLink } from './cache/redis-link.ts'
import { RedisTier } from './cache/redis-tier.ts'
import { TieredCache } from './cache/tiered.ts'
import type { CacheObserver } from './cache/types.ts'
import { type Clock, systemClock } from './clock.ts'
import { settleConfig } from './compose.ts'
import { buildOrigin, lazyClient } from './compose-worker.ts'
import type { ConfigDefinition, TlsOptions } from './config/define.ts'
import type { Config } from './config/load.ts'
import type { Task } from './config/task.ts'
import { RedisCommands } from './coordination/redis-commands.ts'
import { startEmbeddedRedis } from './embedded/redis.ts'
import { PrewarmError, redact } from './errors.ts'
import { GainLog } from './gain/gain-log.ts'
import { tlsFiles } from './origin/postgres.ts'
import type { Origin } from './origin/types.ts'
import { AccessLog } from './predict/access-log.ts'
import { currentRuntime } from './runtime/index.ts'
import type { Runtime } from './runtime/types.ts'
import type { Warmer } from './warmer.ts'

export type Cache = TieredCache

const log = getLogger(['prewarm', 'cache'])

/** How a cache is built. Its keyspaces are those of `warmer`, or of `config` or `file`; without any it has none. */
export interface CacheOptions extends CacheSettings {
  /** Shares its configuration, its Redis, its origins and its counts of reads, and outlives the cache. */
  warmer?: Warmer
  /** A configuration built in this program. */
  config?: ConfigDefinition
  /** A configuration file. */
  file?: string
  /** `redis://` or `rediss://` URL. @default the warmer's, the configuration's, REDIS_URL, else an embedded server */
  redis?: string | undefined
  env?: Readonly<Record<string, string | undefined>>
  /** Hear of each read, error and invalidation. */
  observers?: readonly CacheObserver[]
}

/** What a cache needs of the warmer, or builds for itself. */
interface Ground {
  config: Config
  redisUrl: string
  originOf: (task: Task) => Origin
}

/**
 * Builds the cache that an application reads through. It waits up to 1 s for Redis, and goes on without: a Redis that is away
 * keeps no reader waiting, and is connected to as soon as it is back.
 *
 * @throws {PrewarmError} `USAGE`, `CONFIG_INVALID`, `CONFIG_NOT_FOUND`, `EMBEDDED_*`
 */
export async function createCache(options: CacheOptions = {}): Promise<TieredCache> {
  const cleanUps: (() => Promise<void> | void)[] = []
  try {
    return await compose(options, cleanUps)
  } catch (error) {
    // An embedded server that was started already would keep the program.
    await Promise.allSettled(cleanUps.map(async (cleanUp) => cleanUp()))
    throw error
  }
}

async function compose(options: CacheOptions, cleanUps: (() => Promise<void> | void)[]): Promise<TieredCache> {
  const { warmer, config, file, redis, env: _, observers = [], ...settings } = options
  checkUrl(redis)
  checkOne({ warmer, config, file })
  const runtime = currentRuntime()
  const clock = systemClock(runtime.nowNs)
  const ground = warmer === undefined ? await ownGround(options, runtime, cleanUps) : warmerGround(warmer, redis)
  const limits = settleCache(settings, ground.config.settings.defaultTtlMs)
  const { redisTls } = ground.config.settings
  const link = new RedisLink({
    url: ground.redisUrl,
    tls: redisTls === undefined ? undefined : tlsFiles(redisTls),
    clock,
    // No connection is given up while a reader would still wait for it.
    timeoutMs: Math.max(LINK_MS, limits.redisTimeoutMs),
    keyspaceEvents: limits.keyspaceEvents,
    onNotice: (text) => log.warn('{text}', { text }),
    listener: {
      onChanged: (keys) => cache.onChanged(keys),
      onDeleted: (keys) => cache.onDeleted(keys),
    },
  })
  const gain = gainOf({ warmer, ...ground, clock }, cleanUps)
  cleanUps.unshift(() => link.close())
  const cache: TieredCache = new TieredCache({
    tier: new RedisTier({ link, leaseMs: leaseMs(ground.config, limits), random: Math.random }),
    clock,
    random: Math.random,
    limits,
    tasks: ground.config.tasks.values(),
    originOf: ground.originOf,
    observer: tellAll([gain, ...observers], (error) => log.warn('an observer threw: {error}', { error })),
    cleanUps,
  })
  // Readers that come at once need not go to the origin for a connection that is about to be there.
  const hurry = new AbortController()
  const late = clock.sleep(CONNECT_MS, hurry.signal).then(() => new Error(`no answer within ${CONNECT_MS} ms`))
  const problem = await Promise.race([link.ready().catch((error) => error as Error), late])
  hurry.abort()
  if (problem instanceof Error)
    log.warn('Redis can not be asked yet, reads go to the origin: {problem}', { problem: problem.message })
  return cache
}

/** The client would take anything for the name of a host. @throws {PrewarmError} `USAGE` */
function checkUrl(redis: string | undefined): void {
  if (redis === undefined || redis === '' || /^rediss?:\/\//.test(redis)) return
  throw new PrewarmError(
    'USAGE',
    `redis is '${redact(String(redis))}', expected a URL that starts with redis:// or rediss://`,
  )
}

/** What says which keyspaces there are. @throws {PrewarmError} `USAGE` if there are several */
function checkOne(sources: { [name in 'warmer' | 'config' | 'file']: unknown }): void {
  const names = Object.entries(sources).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (sources.warmer instanceof Promise)
    throw new PrewarmError('USAGE', 'warmer is a promise, expected what createWarmer resolves to: await it')
  if (names.length < 2) return
  throw new PrewarmError(
    'USAGE',
    `${names.join(' and ')} are given, each of which says what keyspaces there are: give one`,
  )
}

/** Counts what readers find, for this process's metrics and, in Redis, for all: with the warmer's own, or alone. */
function gainOf(
  { warmer, config, redisUrl, clock }: Ground & { warmer: Warmer | undefined; clock: Clock },
  cleanUps: (() => Promise<void> | void)[],
): CacheObserver {
  const log = warmer?.gain ?? ownGain(redisUrl, config.settings.redisTls, clock, cleanUps)
  log.start()
  cleanUps.unshift(() => log.flush())
  return {
    read: (told) => log.read(told),
    error: (of) => log.error(of),
    invalidated: (count) => log.invalidated(count),
    warmed: ({ keyspace, ttlMs }) => log.warmed({ task: keyspace ?? 'other', keys: 1, ttlMs, jitter: 0 }),
  }
}

function ownGain(
  url: string,
  tls: TlsOptions | undefined,
  clock: Clock,
  cleanUps: (() => Promise<void> | void)[],
): GainLog {
  const commands = new RedisCommands({ url, tls: tls === undefined ? undefined : tlsFiles(tls), clock })
  const onError = (error: unknown) => log.debug('reads not told: {error}', { error })
  const gain = new GainLog({ commands, clock, access: new AccessLog({ commands, clock, onError }), onError })
  cleanUps.unshift(async () => {
    await gain.stop()
    await commands.close()
  })
  return gain
}

/** Longest wait for the first connection. */
const CONNECT_MS = 1000

/** Bound on a call over the connection, unless readers wait longer; then the connection is dropped. */
const LINK_MS = 2000

/** What a load's write may take, after the longest load. */
const LEASE_MARGIN_MS = 1000

/** The wait for a place among the loads, the longest load, and its write. */
function leaseMs({ tasks }: Config, { loadTimeoutMs }: CacheLimits): number {
  const longestMs = Math.max(loadTimeoutMs, ...[...tasks.values()].map(({ timeoutMs }) => timeoutMs))
  return loadTimeoutMs + longestMs + LEASE_MARGIN_MS
}

function warmerGround(warmer: Warmer, redis: string | undefined): Ground {
  return { config: warmer.config, redisUrl: redis || warmer.redisUrl, originOf: (task) => warmer.originOf(task) }
}

async function ownGround(
  { config, file, redis, env }: CacheOptions,
  runtime: Runtime,
  cleanUps: (() => Promise<void> | void)[],
): Promise<Ground> {
  const definition = config ?? (file === undefined ? { tasks: {} } : undefined)
  const settled = await settleConfig(
    {
      ...(definition === undefined ? {} : { config: definition, workers: 0 }),
      ...(file === undefined ? {} : { file }),
      ...(env === undefined ? {} : { env }),
      redisUrl: redis || undefined,
    },
    runtime,
  )
  const clock = systemClock(runtime.nowNs)
  const client = lazyClient(settled.settings.databaseUrl, settled.settings, 4)
  cleanUps.push(() => client.close())
  const redisUrl = settled.settings.redisUrl ?? (await embeddedRedis(cleanUps))
  return { config: settled, redisUrl, originOf: (task) => buildOrigin(task, client.get, clock) }
}

async function embeddedRedis(cleanUps: (() => Promise<void> | void)[]): Promise<string> {
  const server = await startEmbeddedRedis()
  cleanUps.push(server.stop)
  log.warn('no REDIS_URL: using an embedded Redis, which ends with this program')
  return server.url
}
