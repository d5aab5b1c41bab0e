/** The emergency stop as an operator gives it: by HTTP, to a service of two workers in the midst of 200,000 keys. */
import { writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { type Servers, startServers, until } from '../support/warming.ts'
import { type Instance, serve } from './instances.ts'
import { call, DaemonMachine } from './support.ts'

const TIMEOUT = { timeout: 90_000 }
const COUNT = 200_000

const CONFIG = `
import { defineConfig, load, sql } from 'prewarm'
export default defineConfig({
  workers: 2, maxOriginRps: 1_000_000, tasks: {
    ranges: sql({ key: 'k:{id}', value: 'hash', orderBy: ['id'], timeoutMs: '60s',
      query: "select n as id, repeat('x', 100) as pad from generate_series(1, ${COUNT}) n" }),
    keyed: load({ key: 'k:{id}', value: 'hash', batchSize: 5000,
      select: () => Array.from({ length: ${COUNT} }, (_, at) => at + 1), load: (keys) => keys.map((key) => ({ key })) }),
  },
  control: { rateLimits: { warm: 10_000, other: 1_000_000 } },
})
`

describe('POST /warm/stop during a run of 200k keys', () => {
  let servers: Servers
  let machine: DaemonMachine
  let instance: Instance

  // Not before all tests: a hook has five seconds.
  it('starts', TIMEOUT, async () => {
    servers = await startServers()
    machine = new DaemonMachine()
    machine.env.REDIS_URL = servers.urls.redisUrl
    machine.env.DATABASE_URL = servers.urls.databaseUrl
    writeFileSync(machine.config, CONFIG)
    instance = await serve(machine)
  })
  after(async () => {
    await instance?.end('SIGKILL')
    machine?.remove()
    await servers?.stop()
  }, TIMEOUT)

  /** prewarm's own records are a few dozen. */
  const keys = () => servers.redis.dbsize()
  /** Redis' own count of what each value takes to write: a text SET, a hash its PEXPIREAT. prewarm's records take neither. */
  const writes = async () =>
    (await servers.redis.info('commandstats')).match(/^cmdstat_(set|pexpireat):calls=\d+/gm)?.sort()

  for (const task of ['ranges', 'keyed']) {
    it(`nothing is written after the answer, and all of it after resume (${task})`, TIMEOUT, async () => {
      await servers.redis.flushall()
      const { status, body } = await call(instance.url, 'POST', '/warm/run', { tasks: [task] })
      assertEquals(status, 202)
      const job = async () => (await call(instance.url, 'GET', `/warm/jobs/${body.job_id}`)).body
      for (const share of [0.05, 0.3]) {
        await until(async () => (await keys()) > share * COUNT)
        const stopped = await call(instance.url, 'POST', '/warm/stop')
        const before = await writes()
        assertEquals([stopped.status, stopped.body.settled], [200, true])
        assert(before !== undefined && (await keys()) < COUNT, 'the stop came too late')
        await new Promise((resolve) => setTimeout(resolve, 400))
        assertEquals(await writes(), before)
        assertEquals((await job()).status, 'running')
        assertEquals((await call(instance.url, 'POST', '/warm/resume')).status, 200)
      }
      await until(async () => (await job()).status !== 'running', 60_000)
      const { status: end, keys: counts } = await job()
      assertEquals([end, counts.written, counts.failed, counts.unknown], ['success', COUNT, 0, 0])
      assertEquals((await servers.redis.keys('k:*')).length, COUNT)
    })
  }
})
