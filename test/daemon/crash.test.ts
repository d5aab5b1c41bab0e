/** A service that is killed in the midst of a job it has promised (202), with another one, and later a new one, beside it. */
import { writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { type Instance, serve } from './instances.ts'
import { call, DaemonMachine } from './support.ts'

/** A heartbeat lasts 15 s, and others look for it every 15 s. */
const SLOW = { timeout: 120_000 }
const REMEMBERED = 200

/** Half of `slow` is warmed at once, the rest when the file `go` is there. */
const CONFIG = `
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, load } from 'prewarm'

const ids = Array.from({ length: 100 }, (_, id) => ({ id }))
const go = join(import.meta.dirname, 'go')
export default defineConfig({
  workers: 1, maxBatchSize: 10, maxOriginRps: 1_000_000,
  tasks: {
    quick: load({ key: 'quick:{id}', value: 'string', select: () => [1], load: (keys) => keys }),
    slow: load({
      key: 'slow:{id}', value: 'string', timeoutMs: '2m', select: () => ids,
      async load(keys, { signal }) {
        const isSecondHalf = keys.some((key) => /:[5-9]./.test(key))
        while (isSecondHalf && !existsSync(go) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20))
        return new Map(keys.map((key) => [key, key]))
      },
    }),
  },
  control: { rateLimits: { warm: 10_000, other: 1_000_000 } },
})
`

describe('a service that is killed', () => {
  let server: RedisServer
  let redis: Redis
  let machine: DaemonMachine
  const alive = new Set<Instance>()

  const start = async () => {
    const instance = await serve(machine)
    alive.add(instance)
    return instance
  }
  const kill = async (instance: Instance) => {
    alive.delete(instance)
    await instance.end('SIGKILL')
  }

  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
    writeFileSync(machine.config, CONFIG)
  }, SLOW)
  after(async () => {
    await Promise.all([...alive].map(kill))
    redis?.disconnect()
    machine?.remove()
    await server?.stop()
  }, SLOW)

  it('leaves its jobs to another one, under the same id; the last 200 are known after a restart', SLOW, async () => {
    const first = await start()
    const second = await start()
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const { status, body } = await run(first.url, trace)
    assertEquals([status, body.trace_id], [202, trace])
    const id: string = body.job_id
    const written = async () => (await redis.keys('slow:*')).length
    await until(async () => (await written()) === 50)
    const other = (await call(second.url, 'GET', `/warm/jobs/${id}`)).body
    assert(other.ended_at === null && other.instance !== (await instanceOf(second.url)), JSON.stringify(other))

    await kill(first)
    machine.go()
    const job = async (url: string) => (await call(url, 'GET', `/warm/jobs/${id}`)).body
    await until(async () => (await job(second.url)).status === 'success', 45_000)
    const taken = await job(second.url)
    assertEquals([taken.trace_id, taken.source, taken.keys.written], [trace, 'http', 100])
    assertEquals(taken.instance, await instanceOf(second.url))
    assertEquals(await written(), 100)

    const ids: string[] = [id]
    for (let n = 0; n < REMEMBERED + 4; n++) {
      const { body } = await call(second.url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
      ids.push(body.job_id)
    }
    await kill(second)
    const third = await start()
    const { jobs } = (await call(third.url, 'GET', `/warm/jobs?limit=${REMEMBERED}`)).body
    assertEquals(
      jobs.map(({ job_id }: { job_id: string }) => job_id),
      ids.slice(-REMEMBERED).reverse(),
    )
    assert(jobs.every(({ status }: { status: string }) => status === 'success'))
    assertEquals((await call(third.url, 'GET', `/warm/jobs/${id}`)).status, 404)
  })

  const run = async (url: string, trace: string) => {
    const headers = { 'content-type': 'application/json', traceparent: `00-${trace}-00f067aa0ba902b7-01` }
    const response = await fetch(`${url}/warm/run`, { method: 'POST', headers, body: '{"tasks":["slow"]}' })
    return { status: response.status, body: await response.json() }
  }
  /** What an instance calls itself, as a job of its own says. */
  const instanceOf = async (url: string): Promise<string> => {
    const { body } = await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    return body.job.instance
  }
})
