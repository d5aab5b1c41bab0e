import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type CutProxy, startCutProxy } from '../support/servers.ts'
import { configFile, runJob, type Servers, startServers, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 3000)
const PAD = 'x'.repeat(100)
const FILE = configFile(`maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
  ranges: sql({ key: 'k:{id}', value: 'hash', orderBy: ['id'], batchSize: 100,
    query: "select n as id, 'new' as state, repeat('x', 100) as pad from generate_series(1, 3000) n" }),
  stream: sql({ key: 'k:{id}', value: 'hash', batchSize: 100,
    query: "select n as id, 'new' as state, repeat('x', 100) as pad from generate_series(1, 3000) n" }),
  onceOnly: load({ key: 'k:{id}', value: 'string', retries: 0, batchSize: 100, select: () => Array.from({ length: 3000 }, (_, at) => at + 1),
    load: (keys) => keys.map(() => 'new') }) } `)

const whole = (key: string) => ({ id: key.slice(2), state: 'new', pad: PAD })
/** A reproducible series from 0 to 1. */
const randomFrom = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 0x1_0000_0000
}

describe('a Redis connection', () => {
  let servers: Servers
  let proxy: CutProxy
  let urls: { redisUrl: string; databaseUrl: string }

  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(async () => {
    await servers.redis.flushall()
    await proxy?.stop()
    proxy = await startCutProxy(servers.redisServer.port)
    urls = { ...servers.urls, redisUrl: `redis://127.0.0.1:${proxy.port}` }
  }, TIMEOUT)
  after(async () => {
    await proxy.stop()
    await servers.stop()
  }, TIMEOUT)

  for (const task of ['ranges', 'stream'] as const) {
    it(`that is cut in mid-pipeline at random offsets loses no key of a task with ${task}`, TIMEOUT, async () => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      console.log(`cut offsets of ${task}: seed ${seed}`)
      const random = randomFrom(seed)
      for (let round = 0; round < 6; round++) {
        await servers.redis.flushall()
        proxy.cutAfterBytes(2000 + Math.floor(random() * 280_000))
        const result = await runJob({ file: FILE, workers: round % 2, ...urls }, { tasks: [task] })
        await assertAccounted(result, servers.redis, KEYS, { holds: whole })
        assertEquals(
          [result.status, result.keys.written],
          ['success', 3000],
          `round ${round}: ${JSON.stringify(result)}`,
        )
      }
    })
  }

  it('that is cut again and again, without retries, leaves each key in its true outcome', TIMEOUT, async () => {
    const random = randomFrom(7)
    const cutting = setInterval(() => proxy.cutAfterBytes(Math.floor(random() * 20_000)), 15)
    setTimeout(() => clearInterval(cutting), 3000)
    const result = await runJob({ file: FILE, workers: 0, ...urls }, { tasks: ['onceOnly'] }).finally(() =>
      clearInterval(cutting),
    )
    await assertAccounted(result, servers.redis, KEYS, { holds: () => 'new' })
  })

  it('that is cut once does not fail keys of a task without retries that Redis never got', TIMEOUT, async () => {
    proxy.cutAfterBytes(30_000)
    const result = await runJob({ file: FILE, workers: 0, ...urls }, { tasks: ['onceOnly'] })
    await assertAccounted(result, servers.redis, KEYS, { holds: () => 'new' })
    assert(result.keys.written >= 2000, JSON.stringify(result.keys))
  })

  it('that is refused for a while is made again, and every key written', TIMEOUT, async () => {
    const running = runJob({ file: FILE, workers: 0, ...urls }, { tasks: ['ranges'], batchDelayMs: 20 })
    await until(async () => (await servers.redis.dbsize()) > 200)
    await proxy.refuse(true)
    proxy.cutNow()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await proxy.refuse(false)
    const result = await running
    await assertAccounted(result, servers.redis, KEYS, { holds: whole })
    assertEquals(result.keys.written, 3000, JSON.stringify(result))
  })

  it('that stalls for a while and goes on loses no key', TIMEOUT, async () => {
    const running = runJob({ file: FILE, workers: 1, ...urls }, { tasks: ['stream'], batchDelayMs: 20 })
    await until(async () => (await servers.redis.dbsize()) > 200)
    proxy.stall()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    proxy.resume()
    const result = await running
    await assertAccounted(result, servers.redis, KEYS, { holds: whole })
    assertEquals(result.keys.written, 3000, JSON.stringify(result))
  })

  it('that stalls and never goes on ends the job at its deadline, with each key in one outcome', TIMEOUT, async () => {
    const running = runJob(
      { file: FILE, workers: 0, ...urls },
      { tasks: ['ranges'], batchDelayMs: 20, timeoutMs: 5000 },
    )
    await until(async () => (await servers.redis.dbsize()) > 200)
    proxy.stall()
    const result = await running
    await assertAccounted(result, servers.redis, KEYS, { holds: whole })
    assert(result.keys.failed > 0, JSON.stringify(result.keys))
  })
})
