import { type Clock, systemClock } from './clock.ts'
import type { ConfigDefinition } from './config/define.ts'
import { type Config, importConfig, loadConfig, resolveConfig } from './config/load.ts'
import type { FlagSettings, Settings } from './config/settings.ts'
import type { Task } from './config/task.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { startEmbeddedRedis } from './embedded/redis.ts'
import { PrewarmError } from './errors.ts'
import { FunctionOrigin } from './origin/function.ts'
import { OriginGuard } from './origin/guard.ts'
import { HttpOrigin } from './origin/http.ts'
import { openPostgres, tlsFiles } from './origin/postgres.ts'
import type { SqlClient } from './origin/sql-client.ts'
import { SqlOrigin } from './origin/sql-read.ts'
import type { Origin } from './origin/types.ts'
import { type ExecutorEdges, serveBatches } from './pool/executor.ts'
import { portPair } from './pool/inline.ts'
import { Pool } from './pool/pool.ts'
import type { WorkerSetup } from './pool/protocol.ts'
import { currentRuntime } from './runtime/index.ts'
import type { Runtime, WorkerPort } from './runtime/types.ts'
import { RedisStore } from './store/redis.ts'
import { Warmer } from './warmer.ts'

const WORKER = new URL('../workers/warm-worker.ts', import.meta.url)

export interface WarmerOptions extends FlagSettings {
  /** A configuration built in this program; it runs inline unless `file` is given too. */
  config?: ConfigDefinition
  /** A configuration file, which workers can import. @default prewarm.config.ts in the working directory */
  file?: string
  env?: Readonly<Record<string, string | undefined>>
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

/**
 * Builds a warmer from a settled configuration.
 *
 * @param options `withStore: false`: it only makes plans, and starts no embedded Redis for that
 */
export async function composeWarmer(
  config: Config,
  { onNotice = () => {}, withStore = true }: Pick<WarmerOptions, 'onNotice'> & { withStore?: boolean },
  runtime: Runtime,
): Promise<Warmer> {
  const { settings } = config
  const clock = systemClock(runtime.nowNs)
  const cleanUps: (() => Promise<void>)[] = []
  const redisUrl = settings.redisUrl ?? (withStore ? await embeddedRedis(cleanUps, onNotice) : 'redis://127.0.0.1')
  const needsDatabase = [...config.tasks.values()].some((task) => task.kind === 'sql')
  const database = settings.databaseUrl ?? (needsDatabase ? await embeddedPostgres(cleanUps, onNotice) : undefined)
  const client = lazyClient(database, settings, 4)
  cleanUps.unshift(client.close)

  const size = settings.workers
  const slots = Math.ceil(settings.concurrentWarmers / Math.max(1, size))
  const setup: WorkerSetup = {
    configFile: config.file ?? '',
    env: config.env,
    redisUrl,
    databaseUrl: database,
    slots,
    maxConnections: 2 * settings.concurrentWarmers,
  }
  const pool = new Pool({
    size: Math.max(1, size),
    clock,
    setup,
    startWorker: (id) => (size === 0 ? inlineWorker(config, runtime) : runtime.startWorker(WORKER, `prewarm-${id}`)),
    onLost: (reason) => onNotice(`a worker was lost and is replaced: ${reason}`),
  })
  return new Warmer({
    config,
    clock,
    random: Math.random,
    store: openStore(redisUrl, settings, clock),
    client: client.get,
    originOf: (task) => buildOrigin(task, client.get, clock),
    guard: new OriginGuard({ maxRps: settings.maxOriginRps, maxConcurrent: settings.concurrentWarmers, clock }),
    pool,
    cleanUps,
  })
}

/** The worker's half: builds its own edges from its own import of the configuration, then answers batches. */
export function serveWorker(runtime: Runtime): void {
  serveBatches(runtime.parentPort(), systemClock(runtime.nowNs), async (setup) => {
    const definition = await importConfig(setup.configFile, runtime)
    const flags = { redisUrl: setup.redisUrl, databaseUrl: setup.databaseUrl }
    const config = resolveConfig(definition, { env: setup.env, flags }, runtime.cores, setup.configFile)
    return buildEdges(config, setup, runtime)
  })
}

function inlineWorker(config: Config, runtime: Runtime): WorkerPort {
  const [ours, theirs] = portPair()
  serveBatches(theirs, systemClock(runtime.nowNs), async (setup) => buildEdges(config, setup, runtime))
  return ours
}

function buildEdges(config: Config, setup: WorkerSetup, runtime: Runtime): ExecutorEdges {
  const clock = systemClock(runtime.nowNs)
  const client = lazyClient(setup.databaseUrl, config.settings, setup.maxConnections)
  const store = openStore(setup.redisUrl, config.settings, clock)
  const origins = new Map<string, Origin>()
  return {
    tasks: config.tasks,
    random: Math.random,
    store,
    originOf(task) {
      let origin = origins.get(task.name)
      if (origin === undefined) {
        origin = buildOrigin(task, client.get, clock)
        origins.set(task.name, origin)
      }
      return origin
    },
    async closeStream(task, stream) {
      const origin = origins.get(task)
      if (origin instanceof SqlOrigin) await origin.closeStream(stream)
    },
    async close() {
      await Promise.allSettled([...origins.values()].map((origin) => origin.close()))
      await Promise.allSettled([store.close(), client.close()])
    },
  }
}

function buildOrigin(task: Task, client: () => SqlClient, clock: Clock): Origin {
  switch (task.kind) {
    case 'sql':
      return new SqlOrigin(task, client())
    case 'load':
      return new FunctionOrigin(task, client)
    case 'http':
      return new HttpOrigin(task, { fetch, sleep: clock.sleep, nowMs: clock.nowMs })
  }
}

function openStore(url: string, { redisTls }: Settings, clock: Clock): RedisStore {
  return new RedisStore({
    url,
    tls: redisTls === undefined ? undefined : tlsFiles(redisTls),
    clock,
  })
}

/** A database client that is opened when it is first asked for. */
function lazyClient(url: string | undefined, { databaseTls }: Settings, maxConnections: number) {
  let client: SqlClient | undefined
  return {
    get(): SqlClient {
      if (url === undefined) {
        throw new PrewarmError(
          'CONFIG_INVALID',
          'No database is configured: set DATABASE_URL, --database or `database` in the configuration',
        )
      }
      client ??= openPostgres({ url, maxConnections, tls: databaseTls })
      return client
    },
    async close(): Promise<void> {
      await client?.close()
    },
  }
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
