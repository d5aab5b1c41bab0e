import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { ask } from '../../src/daemon/ask.ts'
import { ended, stampOf } from '../../src/daemon/process.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { call, DaemonMachine, processesNaming, SLOW } from './support.ts'

describe('a daemon lives', () => {
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

  const notRunning = async (text = 'is not running') => {
    const { code, answer } = await machine.json('daemon', 'status')
    assertEquals([code, answer.error.code], [1, 'DAEMON_NOT_RUNNING'])
    assertStringIncludes(answer.error.message, text)
  }

  it('from start to stop: ready when start returns, known to status, alone, and gone afterwards', SLOW, async () => {
    await notRunning()
    const { pid, url, log } = await machine.daemon()
    assertEquals(await call(url, 'GET', '/readyz'), { status: 200, body: { status: 'ready' } })
    const { code, answer } = await machine.json('daemon', 'status')
    assertEquals([code, answer.pid, answer.url, answer.ready, answer.phase], [0, pid, url, true, 'serving'])
    assertEquals([answer.configFile, answer.lastJob, answer.activeJobs], [machine.config, null, 0])
    const run = await call(url, 'POST', '/warm/run', { tasks: ['quick'], wait: true })
    assertEquals([run.status, run.body.job.status], [200, 'success'])
    const { lastJob } = (await machine.json('daemon', 'status')).answer
    assertEquals([lastJob.status, lastJob.source, lastJob.keysWritten], ['success', 'http', 100])
    assertStringIncludes((await machine.run('daemon', 'status')).stdout, `'default', version`)

    const again = await machine.json('daemon', 'start', '--port', '0')
    assertEquals([again.code, again.answer.error.code], [1, 'DAEMON_RUNNING'])
    for (const known of [`pid ${pid}`, url, '--name']) assertStringIncludes(again.answer.error.message, known)

    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
    assertEquals(fields[5], String(pid), 'a session of its own')
    assertEquals(readFileSync(`/proc/${pid}/comm`, 'utf8').trim().startsWith('bun'), true)

    const stopped = await machine.json('daemon', 'stop')
    assertEquals([stopped.code, stopped.answer], [0, { name: 'default', state: 'stopped', pid }])
    assertEquals(stampOf(pid), null)
    await notRunning()
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'not running')
    assertEquals(readdirSync(machine.folder()), ['start.json'])
    assertStringIncludes(readFileSync(log, 'utf8'), `prewarm listens on ${url}`)
    assertEquals(processesNaming(machine.home), [])
  })

  it('with files that are its user’s alone', SLOW, async () => {
    const { log } = await machine.daemon()
    const modeOf = (path: string) => statSync(path).mode & 0o777
    assertEquals(modeOf(machine.folder()), 0o700)
    for (const name of ['daemon.pid', 'control.sock', 'start.json'])
      assertEquals(modeOf(join(machine.folder(), name)), 0o600, name)
    assertEquals(modeOf(log), 0o600)
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })

  it('once: of several starts at the same time one wins', SLOW, async () => {
    const starts = await Promise.all(Array.from({ length: 4 }, () => machine.json('daemon', 'start', '--port', '0')))
    const won = starts.filter(({ code }) => code === 0)
    assertEquals(won.length, 1, JSON.stringify(starts))
    for (const { code, answer } of starts.filter((one) => one !== won[0])) {
      assertEquals([code, answer.error.code], [1, 'DAEMON_RUNNING'])
    }
    assertEquals(processesNaming(machine.home), [won[0]?.answer.pid])
    assertEquals((await machine.json('daemon', 'stop')).answer.pid, won[0]?.answer.pid)
  })

  it('several times, by name', SLOW, async () => {
    const [one, two] = await Promise.all([machine.daemon(), machine.daemon('--name', 'second')])
    assert(one.pid !== two.pid && one.url !== two.url && one.log !== two.log)
    assertEquals((await machine.json('daemon', 'stop')).answer.pid, one.pid)
    assertEquals((await machine.json('daemon', 'status', '--name', 'second')).answer.pid, two.pid)
    const second = { pid: two.pid, stamp: stampOf(two.pid) as string }
    assertEquals(await ask(join(machine.folder('second'), 'control.sock'), 'POST', '/stop'), { phase: 'stopping' })
    assert(await ended(second, 20_000))
    assertEquals(readdirSync(machine.folder('second')), ['start.json'])
  })

  it('again after it was killed', SLOW, async () => {
    const { pid } = await machine.daemon()
    process.kill(pid, 'SIGKILL')
    while (stampOf(pid) !== null) await new Promise((resolve) => setTimeout(resolve, 5))
    await notRunning(`pid ${pid} is gone`)
    const next = await machine.daemon()
    assert(next.pid !== pid)
    assertEquals((await machine.json('daemon', 'status')).answer.pid, next.pid)
    assertEquals((await machine.json('daemon', 'stop')).answer.pid, next.pid)
  })

  it('until it is killed, where it does not end by itself', SLOW, async () => {
    const { pid } = await machine.daemon('--drain', '0')
    process.kill(pid, 'SIGSTOP')
    const { code, answer } = await machine.json('daemon', 'stop')
    assertEquals([code, answer.state, answer.pid], [1, 'killed', pid])
    assertEquals(stampOf(pid), null)
    assertEquals(readdirSync(machine.folder()), ['start.json'])
  })

  it('beside whoever was given the pid of one that died', SLOW, async () => {
    const foreign = spawn('sleep', ['120'], { stdio: 'ignore' })
    try {
      mkdirSync(machine.folder(), { recursive: true, mode: 0o700 })
      const pid = foreign.pid as number
      const owner = { pid, stamp: 'another boot:1', startedAt: '2026-01-01T00:00:00.000Z', drainMs: 1000, log: '' }
      const pidFile = join(machine.folder(), 'daemon.pid')
      writeFileSync(pidFile, JSON.stringify(owner))
      await notRunning()
      assertEquals((await machine.json('daemon', 'stop')).answer.state, 'not running')
      writeFileSync(pidFile, JSON.stringify(owner))
      const started = await machine.daemon()
      assertEquals((await machine.json('daemon', 'stop')).answer.pid, started.pid)
      assertEquals([foreign.exitCode, foreign.signalCode], [null, null])
      assert(stampOf(pid) !== null)
    } finally {
      foreign.kill('SIGKILL')
    }
  })

  it('and is found by its socket when its pid file is lost', SLOW, async () => {
    const { pid } = await machine.daemon()
    writeFileSync(join(machine.folder(), 'daemon.pid'), '')
    assertEquals((await machine.json('daemon', 'status')).answer.pid, pid)
    assertEquals((await machine.json('daemon', 'start', '--port', '0')).answer.error.code, 'DAEMON_RUNNING')
    assertEquals((await machine.json('daemon', 'stop')).answer, { name: 'default', state: 'stopped', pid })
    assert(!existsSync(join(machine.folder(), 'control.sock')))
  })
})
