import process from 'node:process'
import { after, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { Redis } from 'ioredis'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type RedisServer, startPostgresServer, startRedisServer, type TestServer } from '../support/servers.ts'
import { configFile, connect, runJob, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 3000)
const CONFIG = `maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
  hashes: sql({ key: 'k:{id}', value: 'hash', orderBy: ['id'], batchSize: 100,
    query: "select n as id, 'new' as state, repeat('x', 1000) as pad from generate_series(1, 3000) n" }),
  strings: load({ key: 'k:{id}', value: 'string', retries: 0, batchSize: 100, select: () => Array.from({ length: 3000 }, (_, at) => at + 1),
    load: (keys) => keys.map(() => 'new') }),
  once: load({ key: 'k:{id}', value: 'hash', retries: 0, batchSize: 100, select: () => Array.from({ length: 3000 }, (_, at) => at + 1),
    load: (keys) => keys.map(() => ({ state: 'new' })) }) }`
const FILE = configFile(CONFIG)
/** As where others fill what seemed to be room. */
const UNGUARDED = configFile(`memory: { guard: false }, ${CONFIG}`)
const whole = (key: string) => ({ id: key.slice(2), state: 'new', pad: 'x'.repeat(1000) })

describe('a Redis server', () => {
  let server: RedisServer
  let redis: Redis
  let postgres: TestServer | undefined
  const urls = () => ({ redisUrl: server.url, databaseUrl: postgres?.url })

  beforeEach(async () => {
    await stop()
    server = await startRedisServer()
    redis = connect(server.url)
    postgres ??= await startPostgresServer()
  }, TIMEOUT)
  const stop = async () => {
    redis?.disconnect()
    await server?.stop()
  }
  after(async () => {
    await stop()
    await postgres?.stop()
  }, TIMEOUT)
  /** The job, and the moment it has written something. */
  const begun = async (task: string, request = {}) => {
    const result = runJob({ file: FILE, workers: 1, ...urls() }, { tasks: [task], batchDelayMs: 20, ...request })
    await until(async () => (await redis.dbsize()) > 200)
    return { result }
  }

  it('that is stopped (SIGSTOP) for a while and goes on loses no key', TIMEOUT, async () => {
    const { result } = await begun('hashes')
    server.pause()
    await new Promise((resolve) => setTimeout(resolve, 2500))
    server.resume()
    await assertAccounted(await result, redis, KEYS, { holds: whole })
    assertEquals((await result).keys.written, 3000)
  })

  it(
    'that is stopped for longer than a write may take never has a key that was said to have failed',
    TIMEOUT,
    async () => {
      const { result } = await begun('hashes', { timeoutMs: 7000 })
      server.pause()
      const told = await result
      server.resume()
      // What was sent and never confirmed (`unknown`) may still be carried out now; then it is quiet.
      let size = -1
      await until(async () => {
        const before = size
        await new Promise((resolve) => setTimeout(resolve, 100))
        size = await redis.dbsize()
        return size === before
      })
      await assertAccounted(told, redis, KEYS, { holds: whole })
    },
  )

  it('that is killed and does not come back ends the job in time', TIMEOUT, async () => {
    const { result } = await begun('hashes')
    process.kill(server.pid, 'SIGKILL')
    const begunMs = Date.now()
    const told = await result
    assert(Date.now() - begunMs < 30_000, `it took ${Date.now() - begunMs} ms`)
    assertEquals(told.keys.planned, 3000)
    assert(told.keys.written > 200 && told.keys.failed > 0, JSON.stringify(told.keys))
    assert(['STORE_UNREACHABLE', 'WRITE_UNCONFIRMED'].includes(told.tasks[0]?.firstError?.code ?? ''))
  })

  it('that is full keeps old hashes whole, and the refused keys have failed with OOM', TIMEOUT, async () => {
    const old = Object.fromEntries(
      KEYS.slice(0, 1500).map((key) => [key, { id: key.slice(2), state: 'old', only: 'old' }]),
    )
    for (const [key, value] of Object.entries(old)) await redis.multi().hset(key, value).pexpire(key, 3_600_000).exec()
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await redis.config('SET', 'maxmemory', String(used + 1_200_000))
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    const result = await runJob({ file: UNGUARDED, workers: 1, ...urls() }, { tasks: ['hashes'] })
    assert(result.keys.failed > 0 && result.keys.written > 0, JSON.stringify(result.keys))
    assertEquals([result.tasks[0]?.firstError?.code, result.tasks[0]?.firstError?.detail], ['STORE_REFUSED', 'OOM'])
    let renewed = 0
    for (const key of KEYS) {
      const value = { ...(await redis.hgetall(key)) }
      if (value.state === 'new') renewed++
      assertEquals(value, value.state === 'new' ? whole(key) : (old[key] ?? {}), key)
    }
    assertEquals(renewed, result.keys.written)
    await redis.config('SET', 'maxmemory', '0')
    await assertAccounted(result, redis, KEYS, { before: 1500 })
  })

  it(
    'that was full before refuses every hash, keeps the old ones whole, and takes no more memory',
    TIMEOUT,
    async () => {
      for (const key of KEYS) await redis.multi().hset(key, { state: 'old' }).pexpire(key, 3_600_000).exec()
      const used = async () => Number(/used_memory_dataset:(\d+)/.exec(await redis.info('memory'))?.[1])
      await redis.config('SET', 'maxmemory-policy', 'noeviction')
      await redis.config('SET', 'maxmemory', '1mb')
      const before = await used()
      const result = await runJob({ file: UNGUARDED, workers: 0, ...urls() }, { tasks: ['once'] })
      assertEquals([result.status, result.keys.failed, result.tasks[0]?.firstError?.detail], ['failed', 3000, 'OOM'])
      for (const key of KEYS) assertEquals({ ...(await redis.hgetall(key)) }, { state: 'old' }, key)
      assert((await used()) < before + 500_000, `${before} bytes before, ${await used()} after`)
    },
  )

  it('that forgets its scripts in mid-run gets them again, also for a task without retries', TIMEOUT, async () => {
    const { result } = await begun('once')
    for (let at = 0; at < 10; at++) {
      await redis.script('FLUSH')
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
    await assertAccounted(await result, redis, KEYS, { holds: () => ({ state: 'new' }) })
    assertEquals((await result).keys.written, 3000, JSON.stringify((await result).tasks[0]?.firstError))
  })

  it('that is restarted empty in mid-run is written on, and coverage tells what is gone', TIMEOUT, async () => {
    const { result } = await begun('hashes', { batchDelayMs: 60 })
    const { port } = server
    process.kill(server.pid, 'SIGKILL')
    await server.stop()
    server = await startRedisServer({ args: ['--port', String(port)] })
    redis.disconnect()
    redis = new Redis({ port })
    const told = await result
    await assertAccounted(told, redis, KEYS, { holds: whole, isEmptied: true })
    assert(told.keys.written > 2000, JSON.stringify(told))
    assert(told.coverage < 1, `coverage ${told.coverage}`)
  })

  it('that refuses writes as a replica fails each key with its reason', TIMEOUT, async () => {
    await redis.config('SET', 'min-replicas-to-write', '1')
    const result = await runJob({ file: FILE, workers: 1, ...urls() }, { tasks: ['strings'] })
    await assertAccounted(result, redis, KEYS)
    assertEquals(
      [result.status, result.keys.failed, result.tasks[0]?.firstError?.detail],
      ['failed', 3000, 'NOREPLICAS'],
    )
  })
})
