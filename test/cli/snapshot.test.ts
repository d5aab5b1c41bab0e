import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import { bucketKey, bucketOf, LAST_KEY } from '../../src/predict/buckets.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { Machine } from './support.ts'

const SLOW = { timeout: 60_000 }

/** `slow` keys are loaded when the file `go` is there. */
const CONFIG = `
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, load } from 'prewarm'
const go = join(import.meta.dirname, 'go')
const values = (keys) => new Map(keys.map((key) => [key, { key }]))
export default defineConfig({
  workers: 0,
  tasks: {
    films: load({ key: 'film:{id}', load: values }),
    slow: load({ key: 'slow:{id}', timeoutMs: '1m', async load(keys, { signal }) {
      while (!existsSync(go) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20))
      return values(keys)
    } }),
  },
  snapshot: { to: 'hot.ndjson.gz' },
})
`

describe('`prewarm snapshot`', () => {
  let server: RedisServer
  let redis: Redis
  let machine: Machine
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(async () => {
    await redis.flushall()
    machine = new Machine()
    machine.env = { REDIS_URL: server.url }
    writeFileSync(join(machine.home, 'prewarm.config.ts'), CONFIG)
  })
  afterEach(() => machine.remove())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })
  const readOf = async (keys: readonly string[]) => {
    const scores = keys.flatMap((key, at) => [keys.length - at, key])
    await redis.zadd(bucketKey(bucketOf(Date.now())), ...scores)
    await redis.zadd(LAST_KEY, ...keys.flatMap((key) => [Date.now(), key]))
  }
  const films = (count: number) => Array.from({ length: count }, (_, at) => `film:${at}`)

  it('saves, shows and loads: beside the configuration, in a file, in Redis', SLOW, async () => {
    await readOf([...films(30), 'other:1'])
    const saved = await machine.json('snapshot', 'save')
    assertEquals([saved.code, saved.answer], [0, { to: 'hot.ndjson.gz', keys: 30, saved: true, reason: null }])
    assert(existsSync(join(machine.home, 'hot.ndjson.gz')))
    const text = await machine.run('snapshot', 'save', 'here.ndjson', '--limit', '12')
    assertEquals([text.code, text.stdout], [0, 'saved: 12 keys in here.ndjson\n'])
    assertEquals(readFileSync(join(machine.home, 'here.ndjson'), 'utf8').split('\n').length, 14)

    const shown = await machine.json('snapshot', 'show')
    assertEquals([shown.answer.keys, shown.answer.tasks, shown.answer.unmatched], [30, { films: 30 }, 0])
    assertEquals([shown.answer.top.length, shown.answer.top[0].key], [10, 'film:0'])
    const people = await machine.run('snapshot', 'show', 'here.ndjson')
    assert(/^here\.ndjson: 12 keys, saved 20.*ago, under the configuration [0-9a-f]{16}\n/.test(people.stdout))
    assertStringIncludes(people.stdout, 'not in Redis')

    await redis.flushall()
    await redis.set('film:3', 'there')
    const loaded = await machine.json('snapshot', 'load')
    assertEquals([loaded.code, loaded.answer.ended, loaded.answer.loaded, loaded.answer.present], [0, 'all', 29, 1])
    const again = await machine.run('snapshot', 'load', 'here.ndjson')
    assertEquals(again.code, 0)
    assert(/^done: here\.ndjson in /.test(again.stdout), again.stdout)
    assert(/there already +12\n/.test(again.stdout), again.stdout)

    await readOf(films(5))
    assertEquals((await machine.json('snapshot', 'save', 'redis:mine')).code, 0)
    assertEquals(await redis.llen('prewarm:snapshot:mine'), 6)
    assertEquals((await machine.json('snapshot', 'show', 'redis:mine')).answer.keys, 5)
  })

  it('keeps the list that is needed after FLUSHALL, and says so', SLOW, async () => {
    await readOf(films(30))
    await machine.run('snapshot', 'save')
    await redis.flushall()
    const kept = await machine.run('snapshot', 'save')
    assertEquals(kept.code, 1)
    assertEquals(
      kept.stdout,
      'kept: hot.ndjson.gz stays as it is, because no hot key is known now; --force replaces it all the same\n',
    )
    const forced = await machine.json('snapshot', 'save', '--force')
    assertEquals([forced.code, forced.answer.keys], [0, 0])
  })

  it('that is interrupted says how far it came, and goes on there', SLOW, async () => {
    await readOf([...films(1000), 'slow:1', 'slow:2'])
    await machine.run('snapshot', 'save')
    await redis.flushall()
    const { child, finished } = machine.start('snapshot', 'load')
    await until(async () => (await redis.exists('film:999')) === 1)
    child.kill('SIGINT')
    const { code, stdout } = await finished
    assertEquals(code, 130)
    assert(/^interrupted after .*: run the same command again to go on\n/.test(stdout), stdout)
    assert(/\nloaded +1000\n/.test(stdout) && /not come to +2\n?/.test(stdout), stdout)
    const cut = await machine.json('snapshot', 'load', '--timeout', '800ms')
    assertEquals([cut.code, cut.answer.ended, cut.answer.present, cut.answer.left], [1, 'deadline', 1000, 2])
    writeFileSync(join(machine.home, 'go'), '')
    const rest = await machine.json('snapshot', 'load')
    assertEquals([rest.code, rest.answer.ended, rest.answer.present, rest.answer.loaded], [0, 'all', 1000, 2])
  })

  it('tells what is wrong, and what to do', SLOW, async () => {
    const message = async (...args: string[]) => {
      const { code, answer } = await machine.json('snapshot', ...args)
      return [code, answer.error?.code, answer.error?.message ?? ''] as const
    }
    const [code, name, text] = await message('load', 'none.ndjson')
    assertEquals([code, name], [1, 'NOT_FOUND'])
    assertStringIncludes(text, 'prewarm snapshot save')
    assertEquals((await message('save', 'redis:a b')).slice(0, 2), [2, 'USAGE'])
    writeFileSync(join(machine.home, 'bad.ndjson'), '{"prewarm":"snapshot","version":1}\n')
    const bad = await message('show', 'bad.ndjson')
    assertEquals(bad.slice(0, 2), [1, 'SNAPSHOT_INVALID'])
    assertStringIncludes(bad[2], 'bad.ndjson, line 1: expected "config"')

    await readOf(films(3))
    await machine.run('snapshot', 'save')
    writeFileSync(
      join(machine.home, 'prewarm.config.ts'),
      CONFIG.replace("films: load({ key: 'film:{id}'", "films: load({ key: 'film:{no}'"),
    )
    const mismatch = await message('load')
    assertEquals(mismatch.slice(0, 2), [1, 'SNAPSHOT_MISMATCH'])
    assertStringIncludes(mismatch[2], '--any-config')
    assertEquals((await machine.json('snapshot', 'load', '--any-config')).answer.loaded, 3)
    machine.env = {}
    assertEquals((await message('load')).slice(0, 2), [2, 'CONFIG_INVALID'])
    machine.env = { REDIS_URL: 'redis://127.0.0.1:1' }
    assertEquals((await message('save')).slice(0, 2), [3, 'STORE_UNREACHABLE'])
  })
})
