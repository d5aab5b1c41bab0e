import { systemClock } from './clock.ts'
import { composeService } from './compose-service.ts'
import { buildEdges, buildOrigin, lazyClient, openStore } from './compose-worker.ts'
import type { ConfigDefinition } from './config/define.ts'
import { type Config, loadConfig, resolveConfig } from './config/load.ts'
import type { FlagSettings } from './config/settings.ts'
import type { Task } from './config/task.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { startEmbeddedRedis } from './embedded/redis.ts'
import { PrewarmError } from './errors.ts'
import { NO_COSTS } from './job/strategy/types.ts'
import { OriginGuard } from './origin/guard.ts'
import { tlsFiles } from './origin/postgres.ts'
import { serveBatches } from './pool/executor.ts'
import { portPair } from './pool/inline.ts'
import { Pool } from './pool/pool.ts'
import type { WorkerSetup } from './pool/protocol.ts'
import { NO_DEMAND } from './predict/demand.ts'
import { poolSize } from './retune.ts'
import { currentRuntime } from './runtime/index.ts'
import type { Runtime, WorkerPort } from './runtime/types.ts'
import { Warmer } from './warmer.ts'
import type { WarmerParts } from './warmer-parts.ts'

const WORKER = new URL('../workers/warm-worker.ts', import.meta.url)

export interface WarmerOptions extends FlagSettings {
  /** A configuration built in this program; it runs inline unless `file` is given too. */
  config?: ConfigDefinition
  /** A configuration file, which workers can import. @default prewarm.config.ts in the working directory */
  file?: string
  env?: Readonly<Record<string, string | undefined>>
  /**
   * It is there for others, not for one run: `start()` then keeps the schedules, the list of jobs is kept in Redis and
   * outlives a crash, jobs that an instance which is gone has left unfinished are taken up. @default false
   */
  service?: boolean
  /** Told what is embedded for lack of a URL, and what workers were lost. */
  onNotice?: (text: string) => void
}

/**
 * Builds a warmer: reads the configuration, starts embedded servers where no URL is given, connects nothing else yet.
 *
 * @throws {PrewarmError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID`, `WORKERS_NEED_CONFIG_FILE`, `EMBEDDED_*`
 */
export async function createWarmer(options: WarmerOptions = {}): Promise<Warmer> {
  const runtime = currentRuntime()
  return composeWarmer(await settleConfig(options, runtime), options, runtime)
}

/** The configuration that the options mean. */
export async function settleConfig(options: WarmerOptions, runtime: Runtime): Promise<Config> {
  const { config, file, env = runtime.env, redisUrl, databaseUrl, workers } = options
  const inputs = { env, flags: { redisUrl, databaseUrl, workers }, nowMs: Date.now() }
  if (config === undefined) return loadConfig(file, inputs, runtime)
  if ((workers ?? config.workers ?? 0) > 0) {
    throw new PrewarmError(
      'WORKERS_NEED_CONFIG_FILE',
      'Workers import the configuration themselves, and this one lives in the program: give its file, or workers: 0',
    )
  }
  return resolveConfig(config, { ...inputs, flags: { ...inputs.flags, workers: 0 } }, runtime.cores)
}

interface ComposeOptions extends Pick<WarmerOptions, 'onNotice' | 'service'> {
  withStore?: boolean
  withDatabase?: boolean
}

/**
 * Builds a warmer from a settled configuration.
 *
 * @param options `withStore: false`: it only makes plans, and starts no embedded Redis for that; `withDatabase: false`: it does not
 * even do that, and starts no embedded Postgres
 */
export async function composeWarmer(config: Config, options: ComposeOptions, runtime: Runtime): Promise<Warmer> {
  const cleanUps: (() => Promise<void>)[] = []
  try {
    return await compose(config, options, runtime, cleanUps)
  } catch (error) {
    // An embedded server that was started already would keep the program.
    await Promise.allSettled(cleanUps.map((cleanUp) => cleanUp()))
    throw error
  }
}

async function compose(
  config: Config,
  { onNotice = () => {}, withStore = true, withDatabase = true, service = false }: ComposeOptions,
  runtime: Runtime,
  cleanUps: (() => Promise<void>)[],
): Promise<Warmer> {
  const { settings } = config
  const clock = systemClock(runtime.nowNs)
  const redisUrl = settings.redisUrl ?? (withStore ? await embeddedRedis(cleanUps, onNotice) : 'redis://127.0.0.1')
  const needsDatabase = withDatabase && [...config.tasks.values()].some((task) => task.kind === 'sql')
  const database = settings.databaseUrl ?? (needsDatabase ? await embeddedPostgres(cleanUps, onNotice) : undefined)
  const client = lazyClient(database, settings, 4)
  cleanUps.unshift(client.close)

  const current = { config }
  const store = openStore(redisUrl, settings, clock)
  const tls = settings.redisTls === undefined ? undefined : tlsFiles(settings.redisTls)
  const isInline = settings.workers === 0
  const { sharedRate, close, ...parts } = composeService({
    ...{ current, redisUrl, tls, store, clock },
    random: Math.random,
    runtime,
    isService: service,
  })
  cleanUps.unshift(close)
  const workerSetup = (): WorkerSetup => {
    const { settings: now } = current.config
    return {
      configFile: config.file ?? '',
      env: current.config.env,
      redisUrl,
      databaseUrl: database,
      slots: poolSize(now).slots,
      maxConnections: 2 * now.concurrentWarmers,
    }
  }
  const pool = new Pool({
    size: poolSize(settings).threads,
    clock,
    setup: workerSetup(),
    startWorker: (id) =>
      isInline ? inlineWorker(() => current.config, runtime) : runtime.startWorker(WORKER, `prewarm-${id}`),
    onLost: (reason) => onNotice(`a worker was lost and is replaced: ${reason}`),
  })
  const { maxOriginRps: maxRps, concurrentWarmers: maxConcurrent, emergencyThresholdMs } = settings
  const guardHooks: WarmerParts['guardHooks'] = { onFree: () => {}, onEmergency: () => {} }
  const guard = new OriginGuard({
    ...{ maxRps, maxConcurrent, emergencyThresholdMs, clock, sharedRate },
    onFree: () => guardHooks.onFree(),
    onEmergency: (change) => guardHooks.onEmergency(change),
  })
  const originOf = (task: Task) => buildOrigin(task, client.get, clock)
  // Nobody has a Redis that could be asked, and none is started for a plan.
  const unasked = { demand: async () => NO_DEMAND, costs: async () => NO_COSTS }
  const sources = withStore || settings.redisUrl !== undefined ? {} : unasked
  const edges = { ...sources, clock, random: Math.random, store, client: client.get, originOf }
  return new Warmer({ ...parts, ...edges, current, guard, guardHooks, pool, workerSetup, cleanUps, notice: onNotice })
}

function inlineWorker(config: () => Config, runtime: Runtime): WorkerPort {
  const [ours, theirs] = portPair()
  serveBatches(theirs, systemClock(runtime.nowNs), async (setup) => buildEdges(config(), setup, runtime))
  return ours
}

async function embeddedRedis(cleanUps: (() => Promise<void>)[], onNotice: (text: string) => void): Promise<string> {
  const server = await startEmbeddedRedis()
  cleanUps.push(server.stop)
  onNotice('no REDIS_URL: using an embedded Redis, which ends with this program')
  return server.url
}

async function embeddedPostgres(cleanUps: (() => Promise<void>)[], onNotice: (text: string) => void): Promise<string> {
  const server = await startEmbeddedPostgres()
  cleanUps.push(server.stop)
  onNotice('no DATABASE_URL: using an embedded Postgres, which is empty and ends with this program')
  return server.url
}
