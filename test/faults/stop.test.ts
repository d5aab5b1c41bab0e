import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStrictEquals } from '@std/assert'
import { createWarmer, type JobResult } from '../../src/index.ts'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, type Servers, startServers, tempFolder, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const COUNT = 10_000
const KEYS = numbered('k', COUNT)
const QUERY = `"select n as id, repeat('x', 200) as pad from generate_series(1, ${COUNT}) n"`
// A busy machine is not to be taken for a slow origin: what is stopped for that would wait for `deaf`.
const FILE = configFile(`maxOriginRps: 100000, emergencyThresholdMs: '5m', tasks: {
  stream: sql({ key: 'k:{id}', value: 'hash', batchSize: 100, query: ${QUERY} }),
  ranges: sql({ key: 'k:{id}', value: 'hash', batchSize: 100, orderBy: ['id'], query: ${QUERY} }),
  keyed: load({ key: 'k:{id}', value: 'string', batchSize: 100, select: () => Array.from({ length: ${COUNT} }, (_, at) => at + 1),
    load: async (keys) => { await new Promise((resolve) => setTimeout(resolve, 5)); return keys } }),
  deaf: load({ key: 'k:{id}', timeoutMs: '1m', select: () => [1, 2], load: () => new Promise(() => {}) }) }`)

describe('a job', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  /** Redis' own count of what each value takes to write: a text SET, a hash its PEXPIREAT. prewarm's records take neither. */
  const writes = async () =>
    (await servers.redis.info('commandstats')).match(/^cmdstat_(set|pexpireat):calls=\d+/gm)?.sort()
  const assertSilence = async () => {
    const before = [await servers.redis.dbsize(), await writes()]
    await new Promise((resolve) => setTimeout(resolve, 300))
    assertEquals([await servers.redis.dbsize(), await writes()], before)
  }
  const assertStopped = async (result: JobResult, task: string, code: string) => {
    await assertAccounted(result, servers.redis, KEYS, { isCut: task === 'stream' })
    assert(result.keys.written > 0 && result.keys.written < COUNT, JSON.stringify(result.keys))
    assertEquals(result.tasks[0]?.firstError?.code, code)
  }

  for (const workers of [2, 0]) {
    for (const task of ['stream', 'ranges', 'keyed']) {
      it(
        `that is cancelled writes nothing once its result is there (${task}, ${workers} workers)`,
        TIMEOUT,
        async () => {
          await withWarmer({ file: FILE, workers, ...servers.urls }, async (warmer) => {
            const job = warmer.submit({ tasks: [task], batchDelayMs: 10 })
            await until(async () => (await servers.redis.dbsize()) > 300)
            job.cancel()
            job.cancel()
            const result = await job.result
            await assertSilence()
            await assertStopped(result, task, 'JOB_CANCELLED')
            assertEquals(result.status, 'cancelled')
            // What was cancelled may be asked for again.
            const again = await warmer.submit({ tasks: [task] }).result
            await assertAccounted(again, servers.redis, KEYS, { before: COUNT })
            assertEquals([again.status, again.keys.written], ['success', COUNT])
          })
        },
      )

      it(
        `that takes too long ends at its timeout and writes nothing after (${task}, ${workers} workers)`,
        TIMEOUT,
        async () => {
          await withWarmer({ file: FILE, workers, ...servers.urls }, async (warmer) => {
            // Its time is for writing: by then workers and connections are there, also on a busy machine.
            assertEquals((await warmer.submit({ tasks: [task], count: 100 }).result).keys.written, 100)
            await servers.redis.flushall()
            const result = await warmer.submit({ tasks: [task], batchDelayMs: 30, timeoutMs: 1500 }).result
            await assertSilence()
            await assertStopped(result, task, 'JOB_TIMEOUT')
            assertEquals(result.status, 'partial')
          })
        },
      )

      it(`ends when the warmer is stopped twice in mid-run (${task}, ${workers} workers)`, TIMEOUT, async () => {
        const warmer = await createWarmer({ env: {}, file: FILE, workers, ...servers.urls })
        const job = warmer.submit({ tasks: [task], batchDelayMs: 10 })
        await until(async () => (await servers.redis.dbsize()) > 300)
        const stopping = warmer.stop()
        assertStrictEquals(warmer.stop(), stopping)
        await stopping
        await assertSilence()
        await assertStopped(await job.result, task, 'STOPPED')
        assertEquals((await job.result).status, 'cancelled')
      })
    }

    it(`whose function ignores its signal is cancelled all the same (${workers} workers)`, TIMEOUT, async () => {
      const warmer = await createWarmer({ env: {}, file: FILE, workers, ...servers.urls })
      const job = warmer.submit({ tasks: ['deaf'] })
      await until(() => job.progress()[0]?.total === 2)
      job.cancel()
      await assertAccounted(await job.result, servers.redis, numbered('k', 2))
      await warmer.stop()
    })

    it(`is stopped in bounded time while Redis stalls (${workers} workers)`, TIMEOUT, async () => {
      const warmer = await createWarmer({ env: {}, file: FILE, workers, ...servers.urls })
      const job = warmer.submit({ tasks: ['ranges'], batchDelayMs: 10 })
      await until(async () => (await servers.redis.dbsize()) > 300)
      servers.redisServer.pause()
      const begunMs = Date.now()
      await warmer.stop().finally(() => servers.redisServer.resume())
      assert(Date.now() - begunMs < 10_000, `it took ${Date.now() - begunMs} ms`)
      await servers.redis.ping()
      await assertAccounted(await job.result, servers.redis, KEYS)
    })

    it(`leaves nothing that keeps the process alive after stop (${workers} workers)`, TIMEOUT, async () => {
      const script = join(tempFolder(), 'script.ts')
      const index = join(import.meta.dirname, '../../src/index.ts')
      const options = JSON.stringify({ env: {}, file: FILE, workers, ...servers.urls })
      writeFileSync(
        script,
        `import { createWarmer } from ${JSON.stringify(index)}
         const warmer = await createWarmer(${options})
         const jobs = ['stream', 'keyed', 'deaf'].map((task) => warmer.submit({ tasks: [task] }))
         await jobs[0].result
         await warmer.stop()
         console.log('stopped')`,
      )
      const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
      let stoppedMs = 0
      child.stdout.on('data', () => {
        stoppedMs = Date.now()
      })
      const killing = setTimeout(() => child.kill('SIGKILL'), 40_000)
      const code = await new Promise((resolve) => child.once('exit', resolve))
      clearTimeout(killing)
      assertEquals(code, 0, 'it had to be killed')
      assert(Date.now() - stoppedMs < 5000, `it lived ${Date.now() - stoppedMs} ms after stop`)
    })
  }
})
