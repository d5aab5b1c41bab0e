import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { freePort, type RedisServer, startRedisServer } from '../support/servers.ts'
import { call, DaemonMachine, processesNaming, SLOW } from './support.ts'

describe('the start of a daemon', () => {
  let server: RedisServer
  let machine: DaemonMachine

  before(async () => {
    server = await startRedisServer()
  })
  beforeEach(() => {
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
  })
  afterEach(() => machine.remove())
  after(() => server.stop())

  it('that fails says why, with what was logged, and leaves nothing running', SLOW, async () => {
    // Another prewarm, which is what is most likely to have it.
    const other = await machine.daemon('--name', 'other')
    const port = Number(new URL(other.url).port)
    const { code, answer, stderr } = await machine.json('daemon', 'start', '--port', String(port))
    assertEquals([code, answer.error.code], [1, 'DAEMON_FAILED'])
    assertStringIncludes(answer.error.message, 'exit code 2')
    assertStringIncludes(stderr, `error: port ${port} of 127.0.0.1 is taken`)
    assertEquals(processesNaming(machine.home), [other.pid])
    assertEquals((await machine.json('daemon', 'status')).code, 1)
    assertEquals((await machine.json('daemon', 'stop', '--name', 'other')).answer.state, 'stopped')
  })

  it('without a Redis that answers is given up by the daemon itself', SLOW, async () => {
    machine.env.REDIS_URL = `redis://:hunter2@127.0.0.1:${await freePort()}`
    const { code, answer, stderr } = await machine.json('daemon', 'start', '--port', '0')
    assertEquals([code, answer.error.code], [1, 'DAEMON_FAILED'])
    assertStringIncludes(stderr, 'Cannot reach Redis')
    assert(!stderr.includes('hunter2'))
    assertEquals(processesNaming(machine.home), [])
  })

  it('writes no log where others could put a link in its place', SLOW, async () => {
    const folder = join(machine.state, 'prewarm')
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o777)
    const victim = join(machine.home, 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(folder, 'daemon-default.log'))
    const { code, answer } = await machine.json('daemon', 'start', '--port', '0')
    assertEquals([code, answer.error.code, readFileSync(victim, 'utf8')], [1, 'DAEMON_FAILED', 'precious'])
    assertStringIncludes(answer.error.message, 'mode 0777')
  })

  it('that is not ready in time is taken back', SLOW, async () => {
    // Nothing is warmed at startup, so it never gets warm. On a busy machine it may need longer to come so far.
    let message = ''
    for (const deadline of ['1500ms', '6s', '20s']) {
      const args = ['daemon', 'start', '--port', '0', '--wait-warm', '--deadline', deadline]
      const { code, answer } = await machine.json(...args)
      assertEquals([code, answer.error.code], [1, 'DAEMON_FAILED'])
      assertEquals(processesNaming(machine.home), [])
      message = answer.error.message
      if (message.includes('its first warm-up had not ended')) break
    }
    assertStringIncludes(message, 'its first warm-up had not ended')
  })

  it('can wait for the first warm-up', SLOW, async () => {
    machine.configure({ inside: 'startup: { enabled: true, delayMs: 0 }' })
    machine.go()
    const { url } = await machine.daemon('--wait-warm')
    assertEquals((await call(url, 'GET', '/startedz')).status, 200)
    const { lastJob } = (await machine.json('daemon', 'status')).answer
    assertEquals([lastJob.source, lastJob.status, lastJob.keysWritten], ['startup', 'success', 200])
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })

  it('refuses a wrong configuration, and one that would let everybody in, before anything runs', SLOW, async () => {
    const open = await machine.json('daemon', 'start', '--host', '0.0.0.0')
    assertEquals([open.code, open.answer.error.code], [2, 'CONFIG_INVALID'])
    assertStringIncludes(open.answer.error.message, 'PREWARM_JWT_SECRET')
    machine.configure({ inside: 'maxOriginRps: -1' })
    const wrong = await machine.json('daemon', 'start')
    assertEquals([wrong.code, wrong.answer.error.code], [2, 'CONFIG_INVALID'])
    writeFileSync(machine.config, 'await new Promise((resolve) => setTimeout(resolve, 60_000))\nexport default {}')
    const endless = await machine.json('daemon', 'start', '--deadline', '1s')
    assertEquals([endless.code, endless.answer.error.code], [2, 'CONFIG_INVALID'])
    for (const args of [
      ['--port', '70000'],
      ['--drain', 'soon'],
      ['--name', '../x'],
      ['--bogus'],
      ['--log-format', 'xml'],
    ]) {
      const { code, answer } = await machine.json('daemon', 'start', ...args)
      assertEquals([code, answer.error.code], [2, 'USAGE'], args.join(' '))
    }
  })

  it('is repeated by restart with the same arguments; secrets are in no file and no argument', SLOW, async () => {
    delete machine.env.REDIS_URL
    const secret = 'a secret of more than thirty-two bytes, for tests'
    machine.env.PREWARM_JWT_SECRET = secret
    const url = server.url.replace('redis://', 'redis://default:@')
    const port = await freePort()
    const first = await machine.json('daemon', 'start', '--port', String(port), '--redis', url, '--drain', '3s')
    assertEquals(first.code, 0, first.stderr)
    const { pid, log } = first.answer
    const shown = [
      `/proc/${pid}/cmdline`,
      join(machine.folder(), 'start.json'),
      join(machine.folder(), 'daemon.pid'),
      log,
    ]
    for (const file of shown) {
      const text = readFileSync(file, 'utf8')
      assert(!text.includes(server.url.slice(8)) && !text.includes(secret), file)
    }
    assertEquals((await call(first.answer.url, 'GET', '/warm/jobs')).status, 401)

    // The shell that restarts knows neither the URL nor the secret.
    delete machine.env.PREWARM_JWT_SECRET
    const second = await machine.json('daemon', 'restart')
    assertEquals(second.code, 0, second.stderr)
    assert(second.answer.pid !== pid)
    assertEquals([second.answer.url, second.answer.drainMs], [first.answer.url, 3000])
    assertEquals((await call(second.answer.url, 'GET', '/readyz')).status, 200)
    assertEquals((await call(second.answer.url, 'GET', '/warm/jobs')).status, 401)
    assertEquals(processesNaming(machine.home), [second.answer.pid])

    // A configuration that is wrong by now ends nothing.
    writeFileSync(machine.config, 'export default {')
    const third = await machine.json('daemon', 'restart')
    assertEquals([third.code, third.answer.error.code], [2, 'CONFIG_INVALID'])
    assertEquals((await machine.json('daemon', 'status')).answer.pid, second.answer.pid)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })

  it('without servers of one’s own brings embedded ones, which end with it', SLOW, async () => {
    delete machine.env.REDIS_URL
    const { url } = await machine.daemon()
    const run = await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    assertEquals(run.body.job.keys.written, 100)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
    assertEquals(processesNaming(machine.home), [])
  })
})
