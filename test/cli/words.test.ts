import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { Redis } from 'ioredis'
import { liveLines, progressLine } from '../../src/cli/progress.ts'
import { withoutFlags } from '../../src/cli/spawn.ts'
import { percent, showBytes, table } from '../../src/cli/table.ts'
import { urlOf } from '../../src/cli/values.ts'
import type { Encoded } from '../../src/codec/types.ts'
import { KeySet } from '../../src/inspect/key-set.ts'
import { usageBytes } from '../../src/inspect/memory.ts'
import type { TaskProgress } from '../../src/types.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const progress = (more: Partial<TaskProgress>): TaskProgress => ({
  task: 'a',
  done: 0,
  total: null,
  estimated: false,
  failed: 0,
  keysPerSecond: 0,
  finished: false,
  ...more,
})

describe('urlOf', () => {
  it('takes a URL whose escapes can be read, and repeats none that can not', () => {
    const read = urlOf('--redis', 'redis://')
    assertEquals(read('redis://user:p%25@host/1', undefined), 'redis://user:p%25@host/1')
    for (const text of ['redis://user:p%ZZ@host', 'redis://user:secret@host/%', 'http://host'])
      assertThrows(() => read(text, undefined), Error, 'expected a URL that starts with redis://')
  })
})

describe('table', () => {
  it('shows nothing that would steer a terminal or begin a line', () => {
    assertEquals(table(['key', 'n'], [['a\u001b[31m\nb\u009bc', 1]]), ['key         n', 'a [31m b c  1'])
  })
})

describe('progress', () => {
  it('sums the tasks up', () => {
    const tasks = [progress({ done: 300, total: 500 }), progress({ done: 100, total: 356 })]
    assertEquals(progressLine(tasks), 'Progress: 400/856 (47%) - Failed: 0')
  })

  it('marks a guessed total, and leaves out one that nobody knows', () => {
    assertEquals(
      progressLine([progress({ done: 400, total: 856, estimated: true, failed: 2 })]),
      'Progress: 400/~856 (47%) - Failed: 2',
    )
    assertEquals(progressLine([progress({ done: 400 }), progress({ total: 5 })]), 'Progress: 400 - Failed: 0')
  })

  it('says 100% only when all is done', () => {
    assertEquals(progressLine([progress({ done: 9999, total: 10_000 })]), 'Progress: 9999/10000 (99%) - Failed: 0')
    assertEquals(progressLine([progress({ total: 0 })]), 'Progress: 0/0 (100%) - Failed: 0')
  })

  it('has a line for each task, no longer than the terminal', () => {
    const tasks = [progress({ done: 50, total: 100, keysPerSecond: 25 }), progress({ task: 'long', finished: true })]
    assertEquals(liveLines(tasks, 80), [
      'a     50/100 50%  25 keys/s  failed 0  ETA 2.0 s',
      'long  0  0 keys/s  failed 0  done',
    ])
    assert(liveLines(tasks, 20).every((line) => line.length < 20))
  })
})

describe('words of the command line', () => {
  it('align columns, and show shares and sizes', () => {
    assertEquals(
      table(
        ['task', 'keys'],
        [
          ['a', 5],
          ['bcdef', 1000],
        ],
      ),
      ['task   keys', 'a         5', 'bcdef  1000'],
    )
    assertEquals([percent(1), percent(0.99999), percent(null)], ['100%', '99.9%', 'unknown'])
    assertEquals([showBytes(512), showBytes(1536), showBytes(null)], ['512 B', '1.5 KB', 'unknown'])
  })

  it('leave out of a spawned command what would detach again, and URLs', () => {
    const argv = ['run', 'a', '--spawn', '--redis', 'redis://u:p@h', '--database=postgres://u:p@h', '--json', '--', 'x']
    assertEquals(withoutFlags(argv), ['run', 'a', '--json', '--', 'x'])
  })
})

describe('KeySet', () => {
  it('holds many keys and no others', () => {
    const keys = new KeySet()
    for (let index = 0; index < 50_000; index++) keys.add(`key:${index}`)
    for (let index = 0; index < 50_000; index++) assert(keys.has(`key:${index}`))
    for (let index = 50_000; index < 100_000; index++) assert(!keys.has(`key:${index}`))
  })
})

describe('the memory formula', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
  })
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  const fields = (count: number, length: number) =>
    Array.from({ length: count }, (_, index) => [`field${index}`, 'v'.repeat(length)]).flat()
  const cases: Record<string, Encoded> = {
    'an integer': { type: 'string', value: '12345' },
    'a short string': { type: 'string', value: 'hello' },
    'a string of 200 bytes': { type: 'string', value: 'é'.repeat(100) },
    'a string of 5000 bytes': { type: 'string', value: 'x'.repeat(5000) },
    'a string of 100 kB': { type: 'string', value: 'x'.repeat(100_000) },
    'a small hash': { type: 'hash', fields: fields(5, 10) },
    'a hash of numbers': { type: 'hash', fields: fields(20, 0).map((text, at) => (at % 2 ? String(at * 1000) : text)) },
    'a hash with a long field': { type: 'hash', fields: fields(10, 300) },
    'a hash of many fields': { type: 'hash', fields: fields(2000, 20) },
  }
  for (const [name, encoded] of Object.entries(cases)) {
    it(`is within 25 % of MEMORY USAGE for ${name}`, async () => {
      const key = 'catalog:product:12345'
      await redis.del(key)
      if (encoded.type === 'string') await redis.set(key, encoded.value)
      else await redis.hset(key, ...encoded.fields)
      const told = Number(await redis.memory('USAGE', key, 'SAMPLES', 0))
      const computed = usageBytes(key, encoded)
      assert(Math.abs(computed / told - 1) <= 0.25, `computed ${computed}, Redis says ${told}`)
    })
  }
})
