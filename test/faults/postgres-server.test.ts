import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { startPostgresServer } from '../support/servers.ts'
import { configFile, connect, runJob, type Servers, startServers, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 5000)
const QUERY = `"select n as id, 'new' as state from generate_series(1, 5000) n"`
const FILE = configFile(`maxOriginRps: 100000, backoffBaseMs: 50, tasks: {
  stream: sql({ key: 'k:{id}', value: 'hash', batchSize: 100, query: ${QUERY} }),
  ranges: sql({ key: 'k:{id}', value: 'json', batchSize: 100, orderBy: ['id'], query: ${QUERY} }),
  keyed: load({ key: 'k:{id}', value: 'string', batchSize: 100, select: ({ sql }) => sql\`select generate_series(1, 5000) as id\`,
    load: async (keys, { sql }) => { await sql\`select 1\`; return keys.map(() => 'new') } }),
  five: sql({ key: 'k:{id}', value: 'hash', batchSize: 1000, query: ${QUERY} }) }`)
const holds = {
  stream: (key: string) => ({ id: key.slice(2), state: 'new' }),
  ranges: (key: string) => JSON.stringify({ id: Number(key.slice(2)), state: 'new' }),
  keyed: () => 'new',
}

describe('a Postgres server', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  /** A job that has begun to write. */
  const begun = async (
    task: string,
    workers: number,
    { urls = servers.urls, redis = servers.redis, batchDelayMs = 30 } = {},
  ) => {
    const result = runJob({ file: FILE, workers, ...urls }, { tasks: [task], batchDelayMs })
    await until(async () => (await redis.dbsize()) > 300)
    return { result }
  }
  const kill = () =>
    servers.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'prewarm'`

  for (const task of ['stream', 'ranges', 'keyed'] as const) {
    for (const workers of [2, 0]) {
      it(`that ends its connections in mid-run is asked again (${task}, ${workers} workers)`, TIMEOUT, async () => {
        const { result } = await begun(task, workers)
        let killed = (await kill()).length
        await new Promise((resolve) => setTimeout(resolve, 300))
        killed += (await kill()).length
        assert(killed > 0)
        const told = await result
        await assertAccounted(told, servers.redis, KEYS, { holds: holds[task] })
        assertEquals([told.status, told.keys.written], ['success', 5000], JSON.stringify(told.tasks[0]))
      })
    }
  }

  it('that is stopped in mid-run and stays away ends each job in time', TIMEOUT, async () => {
    const doomed = await startPostgresServer()
    const jobs = (['stream', 'ranges', 'keyed'] as const).flatMap((task) =>
      [2, 0].map((workers) => ({ task, workers })),
    )
    // Each in a database of its own: they are to meet the fault at the same time.
    const begin = async ({ task, workers }: (typeof jobs)[number], at: number) => {
      const urls = { redisUrl: `${servers.urls.redisUrl}/${at + 1}`, databaseUrl: doomed.url }
      const redis = connect(urls.redisUrl)
      return { task, redis, ...(await begun(task, workers, { urls, redis, batchDelayMs: 100 })) }
    }
    const running = await Promise.all(jobs.map(begin))
    await doomed.stop()
    for (const { task, redis, result } of running) {
      const told = await result
      await assertAccounted(told, redis, KEYS, { holds: holds[task], isCut: task === 'stream' })
      assertEquals(told.status, 'partial')
      assertEquals(told.tasks[0]?.firstError?.code, 'ORIGIN_UNREACHABLE', JSON.stringify(told.tasks[0]))
      redis.disconnect()
    }
  })

  it('that is not there at all fails the task in time', TIMEOUT, async () => {
    const told = await runJob(
      { file: FILE, workers: 1, ...servers.urls, databaseUrl: 'postgres://postgres:secret@127.0.0.1:1/postgres' },
      { tasks: ['stream'] },
    )
    assertEquals([told.status, told.tasks[0]?.firstError?.code], ['failed', 'ORIGIN_UNREACHABLE'])
    assert(!JSON.stringify(told).includes('secret'), JSON.stringify(told))
  })
})

describe('streams', () => {
  it('many at once take turns on few connections', TIMEOUT, async () => {
    const servers = await startServers()
    try {
      const names = Array.from({ length: 12 }, (_, at) => `s${at}`)
      const tasks = names.map(
        (name) =>
          `${name}: sql({ key: '${name}:{id}', value: 'hash', batchSize: 50, query: 'select generate_series(1, 500) as id' })`,
      )
      const file = configFile(
        `maxOriginRps: 100000, concurrentWarmers: 2, originTimeoutMs: 2000, tasks: { ${tasks.join(',\n')} }`,
      )
      for (const workers of [1, 0]) {
        await servers.redis.flushall()
        const result = await runJob({ file, workers, ...servers.urls })
        await assertAccounted(
          result,
          servers.redis,
          names.flatMap((name) => numbered(name, 500)),
        )
        assertEquals(result.status, 'success')
      }
    } finally {
      await servers.stop()
    }
  })
})
