import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertStringIncludes } from '@std/assert'
import { call, DaemonMachine, SLOW } from '../daemon/support.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/servers.ts'
import type { Finished, Started } from './support.ts'

describe('prewarm serve', () => {
  let server: RedisServer
  let machine: DaemonMachine
  let started: Started | undefined

  before(async () => {
    server = await startRedisServer()
  })
  beforeEach(() => {
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
  })
  afterEach(async () => {
    started?.child.kill('SIGKILL')
    await started?.finished
    started = undefined
    machine.remove()
  })
  after(() => server.stop())

  /** Starts it; resolves to what it printed when it listens. */
  async function serve(...args: string[]): Promise<string> {
    started = machine.start('serve', '--port', '0', ...args)
    const { child, finished } = started
    let printed = ''
    return new Promise((resolve, reject) => {
      child.stdout?.on('data', (chunk) => {
        printed += chunk
        if (printed.includes('\n')) resolve(printed)
      })
      void finished.then(({ stderr }) => reject(new Error(`it ended: ${stderr}`)))
    })
  }
  const urlIn = (text: string) => /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? ''
  const end = async (signal: NodeJS.Signals): Promise<Finished> => {
    if (started === undefined) throw new Error('nothing was started')
    started.child.kill(signal)
    return started.finished
  }

  it('says where it listens, answers there, and ends well', SLOW, async () => {
    const text = await serve()
    const url = urlIn(text)
    assertEquals(text, `prewarm listens on ${url}; docs at ${url}/docs\n`)
    assertEquals((await call(url, 'GET', '/healthz')).status, 200)
    const run = await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    assertEquals([run.status, run.body.job.keys.written], [200, 100])
    const dry = await call(url, 'POST', '/warm/run', { tasks: ['quick'], dryRun: true })
    assertEquals([dry.body.plan[0].task, dry.body.plan[0].keys], ['quick', 100])
    const { code, stdout, stderr } = await end('SIGTERM')
    assertEquals([code, stdout], [0, text])
    assertStringIncludes(stderr, 'ending: no new requests; 0 jobs run\nended\n')
  })

  it('with --json prints one object; --log-format json makes each line of the log one', SLOW, async () => {
    const printed = JSON.parse(await serve('--json', '--log-format', 'json'))
    assertEquals(printed, { url: printed.url, docs: `${printed.url}/docs`, pid: started?.child.pid })
    const { body } = await call(printed.url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    const { stderr } = await end('SIGINT')
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const line of lines)
      assertMatch(`${line.time} ${line.level} ${line.logger}`, /^\d{4}-.*Z (info|warning|error) prewarm/)
    assertEquals(lines.filter((line) => line.trace_id === body.trace_id).length >= 2, true, stderr)
    assertEquals(lines.at(-1).message, 'ended')
  })

  it('reads its configuration again at SIGHUP', SLOW, async () => {
    const url = urlIn(await serve())
    machine.configure({ inside: 'maxOriginRps: 42' })
    started?.child.kill('SIGHUP')
    await started?.says('configuration reloaded')
    assertEquals((await call(url, 'GET', '/warm/config')).body.max_origin_rps, 42)
    writeFileSync(machine.config, 'export default {')
    started?.child.kill('SIGHUP')
    await started?.says('error: the configuration stays as it was: CONFIG_INVALID')
    assertEquals((await call(url, 'GET', '/warm/config')).body.max_origin_rps, 42)
    writeFileSync(
      machine.config,
      `import { defineConfig } from 'prewarm'\nexport default defineConfig({ tasks: {}, workers: 1, control: { port: 1 } })\n`,
    )
    started?.child.kill('SIGHUP')
    await started?.says('only a restart changes control.port')
    assertEquals((await end('SIGTERM')).code, 0)
  })

  it('finishes its jobs, but not at a second signal', SLOW, async () => {
    const url = urlIn(await serve())
    await call(url, 'POST', '/warm/run', { tasks: ['slow'] })
    started?.child.kill('SIGTERM')
    await started?.says('ending: no new requests; 1 job runs')
    assertEquals((await call(url, 'GET', '/warm/status')).status, 503)
    const { code, stderr } = await end('SIGTERM')
    assertEquals(code, 130)
    assert(!stderr.includes('ended\n'))
  })

  it('refuses to listen beyond this machine without a secret', SLOW, async () => {
    const { code, answer } = await machine.json('serve', '--host', '0.0.0.0', '--port', '0')
    assertEquals([code, answer.error.code], [2, 'CONFIG_INVALID'])
    assertStringIncludes(answer.error.message, 'PREWARM_JWT_SECRET')
    machine.env.PREWARM_JWT_SECRET = 'too short'
    const short = await machine.json('serve', '--host', '0.0.0.0', '--port', '0')
    assertEquals([short.code, short.answer.error.code], [2, 'CONFIG_INVALID'])
    machine.env.PREWARM_JWT_SECRET = 'more than thirty-two bytes of a secret'
    assertStringIncludes(await serve('--host', '0.0.0.0'), 'listens on http://0.0.0.0:')
    assertEquals((await end('SIGTERM')).code, 0)
  })

  it('names a port that is taken, and a server that is away', SLOW, async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    try {
      const { port } = taken.address() as AddressInfo
      const { code, answer } = await machine.json('serve', '--port', String(port))
      assertEquals([code, answer.error.code], [2, 'USAGE'])
      assertStringIncludes(answer.error.message, `port ${port} of 127.0.0.1 is taken`)
    } finally {
      taken.close()
    }
    machine.env.REDIS_URL = `redis://127.0.0.1:${await freePort()}`
    const away = await machine.json('serve', '--port', '0')
    assertEquals([away.code, away.answer.error.code], [3, 'STORE_UNREACHABLE'])
  })

  it('warms at startup where that is wanted', SLOW, async () => {
    machine.env.ENABLE_CACHE_WARMING_ON_STARTUP = 'true'
    machine.env.CACHE_WARMING_STARTUP_DELAY = '0'
    machine.go()
    await serve()
    await started?.says('warmed at the start: success, 200 of 200 keys written')
    assertEquals((await end('SIGTERM')).code, 0)
  })

  it('keeps a stream of events open, and ends it when it ends itself', SLOW, async () => {
    const url = urlIn(await serve())
    const events = await fetch(`${url}/warm/events`)
    await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    const finished = end('SIGTERM')
    assertStringIncludes(await events.text(), 'event: job_ended')
    assertEquals((await finished).code, 0)
  })

  it('shows help with an example, and refuses what it does not know', SLOW, async () => {
    for (const command of [['serve'], ['daemon'], ['daemon', 'start'], ['daemon', 'logs'], ['daemon', 'unit']]) {
      const { code, stdout } = await machine.run(...command, '--help')
      assertEquals(code, 0)
      assertMatch(stdout, /Example:\n {2}\$ prewarm (serve|daemon)/)
      assert(!stdout.includes(' exec'), stdout)
    }
    for (const args of [
      ['--port', 'x'],
      ['--drain', '-1'],
      ['--log-format', 'xml'],
      ['--hots', 'x'],
    ]) {
      const { code, answer } = await machine.json('serve', ...args)
      assertEquals([code, answer.error.code], [2, 'USAGE'], args.join(' '))
    }
    for (const args of [
      ['daemon', 'begin'],
      ['daemon', 'logs', '-n', 'x'],
      ['daemon', 'status', '--name', 'a/b'],
    ]) {
      const { code, answer } = await machine.json(...args)
      assertEquals([code, answer.error.code], [2, 'USAGE'], args.join(' '))
    }
  })
})
