import { type Clock, systemClock } from './clock.ts'
import { type Config, importConfig, resolveConfig } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import type { Task } from './config/task.ts'
import { PrewarmError } from './errors.ts'
import { FunctionOrigin } from './origin/function.ts'
import { HttpOrigin } from './origin/http.ts'
import { openPostgres, tlsFiles } from './origin/postgres.ts'
import { PING, type SqlClient } from './origin/sql-client.ts'
import { SqlOrigin } from './origin/sql-read.ts'
import type { Origin } from './origin/types.ts'
import { type ExecutorEdges, serveBatches } from './pool/executor.ts'
import type { WorkerSetup } from './pool/protocol.ts'
import type { Runtime } from './runtime/types.ts'
import { RedisStore } from './store/redis.ts'

/** The worker's half: builds its own edges from its own import of the configuration, then answers batches. */
export function serveWorker(runtime: Runtime): void {
  serveBatches(runtime.parentPort(), systemClock(runtime.nowNs), async (setup) => {
    const definition = await importConfig(setup.configFile, runtime)
    const flags = { redisUrl: setup.redisUrl, databaseUrl: setup.databaseUrl }
    const config = resolveConfig(definition, { env: setup.env, flags }, runtime.cores, setup.configFile)
    return buildEdges(config, setup, runtime)
  })
}

/** All that one thread needs to run batches. */
export function buildEdges(config: Config, setup: WorkerSetup, runtime: Runtime): ExecutorEdges {
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
    async openOrigins() {
      if (![...config.tasks.values()].some((task) => task.kind === 'sql')) return
      await client.get().rows(PING, { as: 'text', timeoutMs: 2000, signal: new AbortController().signal })
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

export function buildOrigin(task: Task, client: () => SqlClient, clock: Clock): Origin {
  switch (task.kind) {
    case 'sql':
      return new SqlOrigin(task, client())
    case 'load':
      return new FunctionOrigin(task, client)
    case 'http':
      return new HttpOrigin(task, { fetch, sleep: clock.sleep, nowMs: clock.nowMs })
  }
}

export function openStore(url: string, { redisTls }: Settings, clock: Clock): RedisStore {
  return new RedisStore({
    url,
    tls: redisTls === undefined ? undefined : tlsFiles(redisTls),
    clock,
  })
}

/** A database client that is opened when it is first asked for. */
export function lazyClient(url: string | undefined, { databaseTls }: Settings, maxConnections: number) {
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
