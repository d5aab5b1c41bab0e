import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { type RedisServer, startPostgresServer, startRedisServer, type TestServer } from '../support/servers.ts'
import { CONFIG, FIXTURES, Machine, oneObject } from './support.ts'

const SLOW = join(FIXTURES, 'slow.config.ts')

describe('prewarm run', () => {
  const machine = new Machine()
  let server: RedisServer
  let other: RedisServer
  let database: TestServer
  let redis: Redis

  before(async () => {
    ;[server, other, database] = await Promise.all([startRedisServer(), startRedisServer(), startPostgresServer()])
    redis = new Redis(server.url)
  })
  beforeEach(async () => {
    machine.env = { REDIS_URL: server.url, DATABASE_URL: database.url }
    await redis.flushall()
  })
  after(async () => {
    redis.disconnect()
    await Promise.all([server.stop(), other.stop(), database.stop()])
    machine.remove()
  })

  it('warms everything: exit 0, one JSON object on stdout, the last progress line is exact', async () => {
    const { code, answer, stderr } = await machine.json('run', '--config', CONFIG)
    assertEquals(code, 0)
    assertEquals(answer.status, 'success')
    assertEquals(answer.keys.written, 30 + 25 + 12 + 8)
    assertEquals(answer.coverage, 1)
    assertMatch(answer.traceId, /^[0-9a-f]{32}$/)
    assertEquals(await redis.dbsize(), 75)
    assertEquals(stderr.trimEnd().split('\n').at(-1), 'Progress: 75/75 (100%) - Failed: 0')
    assertStringIncludes(stderr, 'the configuration is read')
  })

  it('prints a summary for people, without colour off a terminal', async () => {
    const { code, stdout } = await machine.run('run', 'films', '--config', CONFIG)
    assertEquals(code, 0)
    assertMatch(stdout, /^success: 30 of 30 keys written in /)
    assertMatch(stdout, /\nfilms +success +30 +0 +0 +0 /)
    assertMatch(stdout, /\ntrace +[0-9a-f]{32}\n/)
    assert(!stdout.includes('\x1b'))
  })

  it('selects by name, tag and critical, and caps by --count', async () => {
    const tasks = async (...args: string[]) => {
      const { answer } = await machine.json('run', '--config', CONFIG, ...args)
      return answer.tasks.map((task: { task: string }) => task.task).sort()
    }
    assertEquals(await tasks('docs', 'users'), ['docs', 'users'])
    assertEquals(await tasks('--tag', 'text', '--tag', 'none'), ['titles'])
    assertEquals(await tasks('--critical', '--priority', '7'), ['films'])
    const { answer } = await machine.json('run', '--config', CONFIG, '--count', '5', '--batch-size', '2')
    assertEquals(answer.keys.written, 20)
  })

  it('takes declared parameters as flags, kebab and literal, and by --param where the flag means something else', async () => {
    const kebab = await machine.json('run', 'films', '--config', CONFIG, '--limit', '3', '--released-after', '2000')
    assertEquals(kebab.answer.keys.written, 3)
    const literal = await machine.json('run', 'films', `--config=${CONFIG}`, '--limit=4', '--releasedAfter', '2000')
    assertEquals(literal.answer.keys.written, 4)
    const clash = await machine.json('run', 'films', '--config', CONFIG, '--param', 'count=2', '--count', '6')
    assertEquals(clash.answer.keys.written, 6)
  })

  it('exits 1 if a key failed', async () => {
    const { code, answer } = await machine.json('run', 'broken', '--config', SLOW)
    assertEquals(code, 1)
    assertEquals([answer.status, answer.keys.written, answer.keys.failed], ['partial', 1, 1])
    const { stdout } = await machine.run('run', 'broken', '--config', SLOW)
    assertStringIncludes(stdout, 'broken: ORIGIN_NO_VALUE: ')
  })

  it('exits 2 for a wrong command line, and names the flag, the value and what was expected', async () => {
    const wrong = async (text: string, ...args: string[]) => {
      const { code, stdout, stderr } = await machine.run('run', '--config', CONFIG, ...args)
      assertEquals([code, stdout], [2, ''], stderr)
      assertStringIncludes(stderr, text)
      assert(!stderr.includes('    at '))
    }
    await wrong("error: unknown option '--limt'\n(Did you mean --limit?)", '--limt', '5')
    await wrong("--count is '1.5', expected a whole number from 1", '--count', '1.5')
    await wrong("--workers is '65', expected a whole number from 0 to 64", '--workers', '65')
    await wrong("--timeout is 'soon', expected ms as a number", '--timeout', 'soon')
    await wrong("There is no task 'flims'", 'flims')
    await wrong("Parameter 'limit' of task 'films' is 'many', expected a number", '--limit', 'many')
    await wrong("No selected task has a parameter 'nope'", '--param', 'nope=1')
    await wrong('No task matches tag nope', '--tag', 'nope')
  })

  it('repeats no password of a wrong command line', async () => {
    for (const flag of ['--redis', '--redsi']) {
      for (const url of ['redis//user:hunter2@host', ':hunter2@host', 'http://user:hunter2@host']) {
        const { code, stdout, stderr } = await machine.run('run', '--config', CONFIG, `${flag}=${url}`, '--json')
        assertEquals(code, 2)
        assert(!`${stdout}${stderr}`.includes('hunter2'), stderr)
      }
    }
  })

  it('prints an error as the one JSON object too', async () => {
    const { code, answer } = await machine.json('run', '--config', 'absent.ts')
    assertEquals([code, answer.error.code], [2, 'CONFIG_NOT_FOUND'])
    const typo = await machine.json('run', '--config', CONFIG, '--limt', '5')
    assertEquals([typo.code, typo.answer.error.code], [2, 'USAGE'])
  })

  it('exits 3 with one line, no stack and no password when a server is not there', async () => {
    machine.env = { REDIS_URL: 'redis://user:hunter2@127.0.0.1:1', DATABASE_URL: database.url }
    const store = await machine.run('run', '--config', CONFIG)
    machine.env = { REDIS_URL: server.url, DATABASE_URL: 'postgres://user:hunter2@127.0.0.1:1/x' }
    const origin = await machine.run('run', '--config', CONFIG)
    for (const [name, { code, stdout, stderr }] of Object.entries({ Redis: store, Postgres: origin })) {
      assertEquals([code, stdout], [3, ''])
      const lines = stderr.split('\n').filter((line) => line !== '' && line !== 'the configuration is read')
      assertEquals(lines.length, 1, stderr)
      assertStringIncludes(lines[0] as string, `error: Cannot reach ${name}`)
      assert(!stderr.includes('hunter2'))
    }
  })

  it('lets a flag win over the environment, and the environment over the file', async () => {
    const there = new Redis(other.url)
    machine.env = { FILE_REDIS_URL: server.url, DATABASE_URL: database.url }
    await machine.json('run', 'users', '--config', CONFIG)
    assertEquals(await redis.dbsize(), 8)
    await redis.flushall()
    machine.env = { ...machine.env, REDIS_URL: other.url }
    await machine.json('run', 'users', '--config', CONFIG)
    assertEquals([await redis.dbsize(), await there.dbsize()], [0, 8])
    await there.flushall()
    await machine.json('run', 'users', '--config', CONFIG, '--redis', server.url)
    assertEquals([await redis.dbsize(), await there.dbsize()], [8, 0])
    there.disconnect()
  })

  it('shows the plan with --dry-run and writes nothing', async () => {
    const { code, answer } = await machine.json('run', 'films', '--config', CONFIG, '--dry-run')
    assertEquals([code, answer.tasks[0].keys], [0, 30])
    assertEquals(await redis.dbsize(), 0)
  })

  it('stops at the first Ctrl-C or SIGTERM, says what was done, exits 130', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      await redis.flushall()
      const { child, says, finished } = machine.start('run', 'slow', '--config', SLOW, '--json')
      await says('Progress: ')
      child.kill(signal)
      const { code, stdout } = await finished
      assertEquals(code, 130)
      const { status, keys } = oneObject(stdout)
      assertEquals([status, keys.planned], ['cancelled', 200])
      assertEquals(keys.written + keys.failed + keys.unknown, 200)
      assert(keys.written < 200)
      assertEquals(await redis.dbsize(), keys.written)
    }
  })

  it('refuses the background where its log has no place, and says what to set', async () => {
    machine.env.XDG_STATE_HOME = CONFIG
    const { code, answer } = await machine.json('run', 'users', '--config', CONFIG, '--spawn', '--redis', server.url)
    delete machine.env.XDG_STATE_HOME
    assertEquals([code, answer.error.code], [2, 'USAGE'])
    assertStringIncludes(answer.error.message, `Cannot make ${join(CONFIG, 'prewarm')}: set XDG_STATE_HOME to`)
  })

  it('goes on in the background, and tells where to look', async () => {
    for (const flag of ['--spawn', '--background']) {
      const { code, answer } = await machine.json('run', 'users', '--config', CONFIG, flag, '--redis', server.url)
      assertEquals(code, 0)
      assert(answer.log.startsWith(join(machine.state, 'prewarm')))
      const log = await until(async () => {
        const text = await Bun.file(answer.log).text()
        return text.includes('"jobId"') ? text : undefined
      })
      assertStringIncludes(log, '"status":"success"')
      assertEquals((await stat(answer.log)).mode & 0o777, 0o600)
      assertEquals((await stat(join(machine.state, 'prewarm'))).mode & 0o777, 0o700)
      assertEquals(await redis.dbsize(), 8)
      await redis.flushall()
    }
  })
})

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const found = await look()
    if (found !== undefined) return found
    await Bun.sleep(50)
  }
  throw new Error('it did not come')
}
