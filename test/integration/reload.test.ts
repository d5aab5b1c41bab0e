import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { loadConfig } from '../../src/config/load.ts'
import type { WarmerOptions } from '../../src/index.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { configFile, type Servers, startServers, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const STREAMS = Array.from(
  { length: 8 },
  (_, at) => `s${at}: sql({ key: 's${at}:{id}', value: 'hash', batchSize: 100,
    query: "select n as id from generate_series(1, 20000) n" })`,
)

/** The configuration of `file` as it is now. */
function read(file: string, { redisUrl, databaseUrl, workers }: WarmerOptions) {
  const runtime = currentRuntime()
  const fresh = { ...runtime, importConfig: (path: string) => runtime.importConfigAgain(path) }
  return loadConfig(file, { env: {}, flags: { redisUrl, databaseUrl, workers }, nowMs: Date.now() }, fresh)
}

describe('changes while running', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  for (const workers of [1, 0]) {
    for (const kind of ['load', 'sql']) {
      it(
        `a task that a reload brings is warmed, though only old workers are ready (${kind}, ${workers} workers)`,
        TIMEOUT,
        async () => {
          const file =
            configFile(`maxOriginRps: 100000, retryAttempts: 0, tasks: { one: load({ key: 'k:{id}', value: 'string',
          select: () => [1], load: (keys) => keys }) }`)
          const options = { file, workers, ...servers.urls }
          await withWarmer(options, async (warmer) => {
            assertEquals((await warmer.submit().result).status, 'success')
            const two =
              kind === 'load'
                ? `two: load({ key: 't:{id}', value: 'string', select: () => [1, 2, 3], load: (keys) => keys })`
                : `two: sql({ key: 't:{id}', value: 'hash', query: 'select n as id from generate_series(1, 3) n' })`
            writeFileSync(file, readFileSync(file, 'utf8').replace('tasks: {', `tasks: { ${two},`))
            await warmer.reload(await read(file, options))
            const { status, tasks } = await warmer.submit({ tasks: ['two'] }).result
            assertEquals([status, tasks[0]?.firstError, tasks[0]?.keys.written], ['success', null, 3])
            assertEquals(await servers.redis.exists('t:1', 't:2', 't:3'), 3)
          })
        },
      )
    }
  }

  it('more warmers at once may hold as many streams: their workers have connections for them', TIMEOUT, async () => {
    const file = configFile(
      `maxOriginRps: 100000, concurrentWarmers: 1, originTimeoutMs: 1500, tasks: { ${STREAMS.join(', ')} }`,
    )
    await withWarmer({ file, workers: 2, ...servers.urls }, async (warmer) => {
      await warmer.start()
      await warmer.retune({ concurrentWarmers: 16 })
      // Each holds its connection for 4 s: longer than another one would wait for it.
      const { status, tasks } = await warmer.submit({ count: 10_000, batchDelayMs: 40 }).result
      assertEquals([status, tasks.map(({ keys }) => keys.written)], ['success', STREAMS.map(() => 10_000)])
    })
  })
})
