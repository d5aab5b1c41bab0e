import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { call, DaemonMachine, SLOW } from './support.ts'

describe('the work of a daemon', () => {
  let server: RedisServer
  let redis: Redis
  let machine: DaemonMachine

  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(async () => {
    await redis.flushall()
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
  })
  afterEach(() => machine.remove())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  const keys = async (task: string) => (await redis.keys(`${task}:*`)).length
  const logged = (log: string) => readFileSync(log, 'utf8')

  it('is finished before it ends; requests are refused meanwhile, streams end', SLOW, async () => {
    const { url, log } = await machine.daemon()
    const events = await fetch(`${url}/warm/events`)
    const { body } = await call(url, 'POST', '/warm/run', { tasks: ['slow'] })
    const stopping = machine.json('daemon', 'stop')
    await until(() => logged(log).includes('ending: no new requests; 1 job runs'))
    const refused = await call(url, 'POST', '/warm/run', { tasks: ['quick'] })
    assertEquals([refused.status, refused.body.code], [503, 'STOPPED'])
    assertEquals(await call(url, 'GET', '/healthz'), { status: 200, body: { status: 'ok' } })
    await events.text()
    assertEquals((await machine.json('daemon', 'status')).answer.phase, 'stopping')
    machine.go()
    assertEquals((await stopping).answer.state, 'stopped')
    assertEquals(await keys('slow'), 100)
    assertStringIncludes(logged(log), `job ${body.job_id} ended: success`)
    assert(logged(log).trimEnd().endsWith(' ended'), logged(log))
  })

  it('that does not end within the drain is cut off, and that is said', SLOW, async () => {
    const { url, log } = await machine.daemon('--drain', '300ms')
    await call(url, 'POST', '/warm/run', { tasks: ['slow'] })
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
    assertStringIncludes(logged(log), 'cut off at the deadline: 1 jobs')
    assertEquals(await keys('slow'), 0)
  })

  it('does not keep it from ending when Redis answers no more', SLOW, async () => {
    const { url, log } = await machine.daemon('--drain', '500ms')
    await call(url, 'POST', '/warm/run', { tasks: ['slow'] })
    server.pause()
    try {
      machine.go()
      // 'killed' would say that it did not end by itself within its drain and 7 s.
      assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
    } finally {
      server.resume()
    }
    assertStringIncludes(logged(log), 'ending: no new requests')
  })

  it('goes on across a reload, which takes in what the configuration imports, too', SLOW, async () => {
    const { url, pid } = await machine.daemon()
    const run = (task: string) => call(url, 'POST', '/warm/run', { tasks: [task], wait: true })
    await run('quick')
    assertEquals(await redis.get('quick:1'), 'first')
    const { body } = await call(url, 'POST', '/warm/run', { tasks: ['slow'] })

    machine.configure({ inside: 'maxOriginRps: 77', value: 'second' })
    const reloaded = await machine.json('daemon', 'reload')
    assertEquals([reloaded.code, reloaded.answer], [0, { name: 'default', restart: [] }])
    assertEquals((await call(url, 'GET', '/warm/config')).body.max_origin_rps, 77)
    machine.go()
    await until(async () => (await call(url, 'GET', `/warm/jobs/${body.job_id}`)).body.status === 'success')
    assertEquals(await keys('slow'), 100)
    await run('quick')
    assertEquals(await redis.get('quick:1'), 'second')
    assertEquals((await machine.json('daemon', 'status')).answer.pid, pid)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })

  it('goes on by the old configuration when the new one is broken, and says so', SLOW, async () => {
    const { url, log } = await machine.daemon()
    const { body } = await call(url, 'POST', '/warm/run', { tasks: ['slow'] })
    for (const broken of ['export default {', 'export default 1', `throw new Error('no')`]) {
      writeFileSync(machine.config, broken)
      const { code, answer } = await machine.json('daemon', 'reload')
      assertEquals([code, answer.error.code], [2, 'CONFIG_INVALID'], broken)
      assertStringIncludes(answer.error.message, 'The configuration stays as it was')
    }
    machine.configure()
    writeFileSync(join(machine.home, 'values.ts'), `throw new Error('no values'); export const VALUE = 1`)
    assertStringIncludes((await machine.json('daemon', 'reload')).answer.error.message, 'no values')
    machine.configure({ inside: 'maxOriginRps: -5' })
    assertStringIncludes((await machine.json('daemon', 'reload')).answer.error.message, 'maxOriginRps')
    assertStringIncludes(logged(log), 'error: the configuration stays as it was: CONFIG_INVALID')
    assertEquals((await call(url, 'GET', '/warm/config')).body.max_origin_rps, 100)
    machine.go()
    await until(async () => (await call(url, 'GET', `/warm/jobs/${body.job_id}`)).body.status === 'success')
    machine.configure({ inside: 'maxOriginRps: 66' })
    assertEquals((await machine.json('daemon', 'reload')).code, 0)
    assertEquals((await call(url, 'GET', '/warm/config')).body.max_origin_rps, 66)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })

  it('is logged within bounds, and shown', SLOW, async () => {
    const { url, log } = await machine.daemon('--log-size', '2000', '--log-files', '2')
    for (let n = 0; n < 60; n++) await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    assert(existsSync(`${log}.2`) && !existsSync(`${log}.3`))
    const text = [`${log}.2`, `${log}.1`, log].map((file) => readFileSync(file, 'utf8'))
    for (const one of text) assert(one.length < 2500, `${one.length} bytes`)
    const last = text.join('').trimEnd().split('\n').slice(-20)
    const shown = await machine.run('daemon', 'logs', '-n', '20')
    assertEquals([shown.code, shown.stdout.trimEnd().split('\n')], [0, last])

    const followed = machine.start('daemon', 'logs', '-f', '-n', '0')
    let seen = ''
    followed.child.stdout?.on('data', (chunk) => {
      seen += chunk
    })
    // Lines go by until it has begun to follow.
    await until(async () => {
      await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
      return (seen.match(/ended: success/g)?.length ?? 0) > 20
    })
    followed.child.kill('SIGINT')
    assertEquals((await followed.finished).code, 0)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
    const over = await machine.run('daemon', 'logs', '-n', '1')
    assertEquals(over.code, 1)
    assert(over.stdout.trimEnd().endsWith(' ended'), over.stdout)
    assertStringIncludes(over.stderr, 'is not running')
    const one = await machine.json('daemon', 'logs', '-n', '1')
    assertEquals([one.code, one.answer.running, one.answer.lines.length], [1, false, 1])
    assertEquals((await machine.run('daemon', 'logs', '-f', '--json')).code, 2)
  })
})
