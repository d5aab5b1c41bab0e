/** Three instances on one Redis and one schedule, as a service that is deployed three times. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import type { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { type HeldOrigin, startHeldOrigin } from './held-origin.ts'
import { Ears, freeze, type Instance, serve, type Told } from './instances.ts'
import { call, DaemonMachine } from './support.ts'

/** The lock lasts 30 s, and nobody may have it earlier. */
const SLOW = { timeout: 150_000 }
const KEYS = Array.from({ length: 20 }, (_, id) => `page:${id}`)

/**
 * One batch a run. While the file `pause-<pid>` is there, who has read its values stands still with them, as in a long
 * computation. In the program's own thread: nothing comes in between that and the write, no timer of the lock's either, so
 * that a process which is stopped meanwhile surely sends its write when it goes on.
 */
const configText = (origin: string) => `
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, load } from 'prewarm'

const file = (name) => join(import.meta.dirname, name + '-' + process.pid)
const cell = new Int32Array(new SharedArrayBuffer(4))
export default defineConfig({
  workers: 0,
  tasks: {
    pages: load({
      key: 'page:{id}', value: 'string', timeoutMs: '4m', select: () => Array.from({ length: ${KEYS.length} }, (_, id) => ({ id })),
      async load(keys, { signal }) {
        const value = await (await fetch('${origin}/?pid=' + process.pid, { signal })).text()
        if (existsSync(file('pause'))) writeFileSync(file('reached'), '')
        while (existsSync(file('pause'))) Atomics.wait(cell, 0, 0, 10)
        return new Map(keys.map((key) => [key, value]))
      },
    }),
  },
  schedules: { often: { cron: '* * * * * *' } },
  control: { rateLimits: { other: 1_000_000 } },
})
`

describe('three instances on one Redis and one schedule', () => {
  let server: RedisServer
  let redis: Redis
  let origin: HeldOrigin
  let machine: DaemonMachine
  let ears: Ears
  let instances: Instance[] = []

  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    origin = await startHeldOrigin()
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
    writeFileSync(machine.config, configText(origin.url))
    ears = await Ears.on(server.url)
  }, SLOW)
  after(async () => {
    await Promise.all(instances.map(({ end }) => end('SIGKILL')))
    ears?.close()
    redis?.disconnect()
    machine?.remove()
    await origin?.stop()
    await server?.stop()
  }, SLOW)

  const values = async () => [...new Set(await redis.mget(KEYS))]
  const firings = () => ears.of('schedule_fired')
  /** Instances that skip because of this run. */
  const skippers = (run: Told<'schedule_fired'>) =>
    new Set(
      ears
        .of('schedule_skipped', ({ reason, holder }) => reason === 'locked' && holder === run.trace_id)
        .map((event) => event.instance),
    )
  const scheduleAt = async (pid: number) => {
    const { url } = instances.find((one) => one.pid !== pid) as Instance
    return (await call(url, 'GET', '/warm/schedules')).body.schedules[0]
  }

  // Not before all tests: a hook has five seconds.
  it('start', SLOW, async () => {
    instances = await Promise.all([1, 2, 3].map(() => serve(machine)))
  })

  it('one runs each due time; the two others skip it, and tell who holds the lock', SLOW, async () => {
    const dues: number[] = []
    for (let round = 1; round <= 3; round++) {
      const { pid, value, answer } = await origin.next()
      await until(() => firings().length === round)
      const run = firings().at(-1) as Told<'schedule_fired'>
      // The run is held up, by the second, until both others have come to their due time.
      await until(() => skippers(run).size === 2)
      assert(!skippers(run).has(run.instance))
      answer()
      const ended = await ears.first('job_ended', ({ job_id }) => job_id === run.job_id)
      assertEquals([ended.status, ended.keys.written, await values()], ['success', KEYS.length, [String(value)]])
      // Also on another instance than the one that ran it.
      await until(async () => (await scheduleAt(pid)).last_job_id === run.job_id)
      const { last_run_at, last_status } = await scheduleAt(pid)
      assertEquals(last_status, 'success')
      dues.push(Date.parse(last_run_at))
    }
    for (const [at, due] of dues.entries()) {
      assertEquals(due % 1000, 0)
      assert(at === 0 || due > (dues[at - 1] as number), `run twice: ${dues}`)
    }
    assertEquals([origin.mostOpen, ears.of('job_started').length >= 3], [1, true])
  })

  it('a holder that is stopped past its lock’s time writes nothing over what the next one wrote', SLOW, async () => {
    const stale = await origin.next()
    const holder = instances.find(({ pid }) => pid === stale.pid) as Instance
    const pause = join(machine.home, `pause-${holder.pid}`)
    writeFileSync(pause, '')
    await until(() => firings().length === stale.value)
    const lost = firings().at(-1) as Told<'schedule_fired'>
    stale.answer()
    await until(() => existsSync(join(machine.home, `reached-${holder.pid}`)))
    await freeze(holder.pid)
    rmSync(pause)

    const fresh = await origin.next(60_000)
    assert(fresh.pid !== holder.pid && fresh.value > stale.value)
    fresh.answer()
    await until(async () => (await values())[0] === String(fresh.value))
    // The next run is not answered, so that no newer value hides an older one.
    const held = await origin.next()
    assertEquals(await values(), [String(fresh.value)])

    process.kill(holder.pid, 'SIGCONT')
    const ended = await ears.first('job_ended', ({ job_id }) => job_id === lost.job_id)
    assertEquals([await values(), ended.instance], [[String(fresh.value)], lost.instance])
    assertEquals([ended.keys.written, ended.keys.failed, ended.keys.unknown], [0, KEYS.length, 0])
    assertEquals(ended.status, 'failed')
    for (const { url } of instances) {
      const job = async () => (await call(url, 'GET', `/warm/jobs/${lost.job_id}`)).body
      await until(async () => (await job()).status === 'failed')
      assertEquals((await job()).task_results[0].first_error.code, 'LOCK_LOST')
    }

    // It takes part again.
    await until(() => firings().length === held.value)
    const now = firings().at(-1) as Told<'schedule_fired'>
    await until(() => skippers(now).has(lost.instance))
    held.answer()
    assertEquals((await ears.first('job_ended', ({ job_id }) => job_id === now.job_id)).status, 'success')
    assertEquals([await values(), origin.mostOpen], [[String(held.value)], 1])
    origin.free()
    for (const { pid, end } of instances) {
      const { code, stderr } = await end('SIGTERM')
      assertEquals(code, 0, stderr)
      assertMatch(stderr, /schedule often skips a run: [0-9a-f]{32} holds the lock/)
      assertEquals(stderr.includes('schedule often lost its lock'), pid === holder.pid, stderr)
    }
  })
})
