import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile } from '../support/warming.ts'
import { Machine } from './support.ts'

const TIMEOUT = { timeout: 60_000 }
const CONFIG = configFile(
  `workers: 0, tasks: { films: load({ key: 'film:{id}', value: 'string', ttl: '10m',
    select: () => Array.from({ length: 100 }, (_, n) => n),
    load: (keys) => new Map(keys.map((key) => [key, 'what ' + key + ' is'])) }) }`,
)
/** An hour ago, in a window of 15 minutes that has ended. */
const AGO = Math.floor((Date.now() - 3_600_000) / 900_000) * 900_000
const MAP = ['--map', '/films/{id}=film:{id}']

const json = (key: string, ms: number) => `${JSON.stringify({ key, ts_ms: ms })}\n`
function common(path: string, ms: number, status = 200): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(new Date(ms).toUTCString()) ?? []
  return `10.0.0.1 - - [${day}/${month}/${year}:${time} +0000] "GET ${path} HTTP/1.1" ${status} 1\n`
}

describe('prewarm learn', () => {
  const machine = new Machine()
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer({ args: ['--maxmemory-policy', 'allkeys-lfu'] })
    redis = new Redis(server.url)
    machine.env = { REDIS_URL: server.url }
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
    machine.remove()
  }, TIMEOUT)

  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(machine.home, name), content)
    return name
  }
  const keys = async () => (await redis.keys('*')).sort()
  const run = (...args: string[]) => machine.run('learn', ...args, '--config', CONFIG)
  const ask = (...args: string[]) => machine.json('learn', ...args, '--config', CONFIG)

  it('redis tells what was read, and what to do next', TIMEOUT, async () => {
    await machine.json('run', '--config', CONFIG)
    const pipeline = redis.pipeline()
    for (let n = 0; n < 3000; n++) pipeline.get('film:7')
    await pipeline.exec()
    await redis.set('stranger', 'x')
    const dry = await run('redis', '--dry-run')
    assertEquals(dry.code, 0, dry.stderr)
    assertStringIncludes(dry.stdout, 'users read 1\n')
    assertStringIncludes(dry.stdout, '99 last touched by warming')
    assertStringIncludes(dry.stdout, 'allkeys-lfu: Redis counts accesses roughly')
    assert(/^film:7 +films +\d+ /m.test(dry.stdout), dry.stdout)
    assertStringIncludes(dry.stdout, 'run it without --dry-run')
    assertEquals(
      (await keys()).filter((key) => key.startsWith('prewarm:access')),
      [],
    )
    const { code, answer } = await ask('redis')
    assertEquals([code, answer.policy, answer.by, answer.keys.read, answer.kept], [0, 'allkeys-lfu', 'counter', 1, 1])
    assertEquals(answer.top[0].key, 'film:7')
    assertStringIncludes((await run('redis')).stdout, 'prewarm predict')
    const { answer: told } = await machine.json('predict', '--config', CONFIG)
    assertStringIncludes(JSON.stringify(told), 'film:7')
    assertEquals((await ask('redis', '--match', 'film:1*')).answer.keys.read, 0)
    assertEquals((await ask('redis', '--limit', '5')).answer.keys.seen, 5)
  })

  it('redis says so where nothing was read', TIMEOUT, async () => {
    assertStringIncludes((await run('redis')).stdout, 'nothing was learned: no key of a task was read')
  })

  it('redis ends at Ctrl-C, and writes nothing', TIMEOUT, async () => {
    const filler = Array.from({ length: 2000 }, (_, n) => [`film:x${n}`, 'text']).flat()
    await redis.mset(...filler)
    const started = machine.start('learn', 'redis', '--rate', '100', '--config', CONFIG)
    await started.says('looked at')
    started.child.kill('SIGINT')
    const { code, stderr } = await started.finished
    assertEquals(code, 130, stderr)
    assertEquals(
      (await keys()).filter((key) => key.startsWith('prewarm:')),
      [],
    )
  })

  it('log learns from NDJSON, and prediction goes by it', TIMEOUT, async () => {
    const name = file('a.log', json('film:1', AGO).repeat(3) + json('film:2', AGO + 1000))
    const { code, stdout, stderr } = await run('log', name)
    assertEquals(code, 0, stderr)
    assertStringIncludes(stdout, '4 lines: 4 reads from')
    assert(/^film:1 +3 /m.test(stdout), stdout)
    assertStringIncludes(stdout, 'learned 1 windows')
    const { answer } = await machine.json('predict', '--config', CONFIG)
    assertStringIncludes(JSON.stringify(answer), 'film:1')
  })

  it('log reads packed files by their first bytes, in several parts, whatever they are called', TIMEOUT, async () => {
    const parts = [json('film:1', AGO), json('film:2', AGO)].map((text) => gzipSync(text))
    const { code, answer } = await ask('log', file('a.log', Buffer.concat(parts)))
    assertEquals([code, answer.lines, answer.reads], [0, 2, 2])
  })

  it('log makes keys of paths, by --map or --path and --key', TIMEOUT, async () => {
    const text = common('/films/1?page=2', AGO) + common('/films/2', AGO, 404) + common('/about', AGO)
    const name = file('a.log', text)
    const { answer } = await ask('log', name, ...MAP)
    assertEquals([answer.reads, answer.other, answer.top[0].key], [1, 2, 'film:1'])
    const other = await ask('log', name, '--path', '/about', '--key', 'page:about', ...MAP, '--replace')
    assertEquals([other.answer.reads, other.answer.other], [2, 1])
  })

  it('log reads stdin, CSV, and fields that it is told', TIMEOUT, async () => {
    const name = file('a.csv', `when,what\n${new Date(AGO).toISOString()},film:1\n`)
    const { answer } = await ask('log', name, '--key-field', 'what', '--time-field', 'when')
    assertEquals(answer.top[0].key, 'film:1')
    // The test's own stdin is empty.
    const { code, stderr } = await run('log', '-')
    assertEquals(code, 1)
    assertStringIncludes(stderr, 'stdin: no read in 0 lines')
  })

  it('log refuses what it knows already, unless it is to replace it', TIMEOUT, async () => {
    const name = file('a.log', json('film:1', AGO))
    assertEquals((await ask('log', name)).code, 0)
    const again = await ask('log', name)
    assertEquals([again.code, again.answer.error.code], [1, 'CONFLICT'])
    assertStringIncludes(again.stderr, '--replace')
    assertEquals((await ask('log', name, '--replace')).answer.windows, 1)
  })

  const bad: [title: string, content: string | Uint8Array, code: number, ...texts: string[]][] = [
    ['more bad lines than good ones', `${json('film:1', AGO)}{\n{"token":"abc"\n`, 1, 'a.log:2', '2 of 3 lines'],
    ['a packed file that was cut off', gzipSync(json('film:1', AGO).repeat(999)).subarray(0, -9), 1, 'ends too early'],
    [
      'a packed file that is damaged',
      new Uint8Array([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
      1,
      "can't be unpacked",
    ],
    ['lines that are not sorted', json('film:1', AGO) + json('film:1', AGO - 400_000), 1, 'a.log:2', 'sort it by time'],
    ['paths that nobody maps', common('/films/1', AGO), 2, '--map'],
    ['text that is no log', 'hello\n', 1, 'a.log:1', '--format'],
  ]
  for (const [title, content, expected, ...texts] of bad)
    it(`log refuses ${title}, and writes nothing`, TIMEOUT, async () => {
      const { code, stderr, stdout } = await run('log', file('a.log', content))
      assertEquals([code, stdout], [expected, ''], stderr)
      for (const text of texts) assertStringIncludes(stderr, text)
      assert(!stderr.includes('abc'), stderr)
      assertEquals(await keys(), [])
    })

  it('log refuses flags that make no sense, and files that are not there', TIMEOUT, async () => {
    for (const [args, text] of [
      [['none.log'], 'Cannot read none.log'],
      [['none.log', '--map', 'films'], "--map is 'films', expected PATH=KEY"],
      [['none.log', '--path', '/films/{id}'], '--path is given without --key'],
      [['none.log', '--map', '/films/{id}=film:{x}'], '{x} is not in the path'],
      [['none.log', '--format', 'xml'], "argument 'xml' is invalid"],
    ] as const) {
      const { code, stderr } = await run('log', ...args)
      assertEquals(code, 2, stderr)
      assertStringIncludes(stderr, text)
    }
  })
})
