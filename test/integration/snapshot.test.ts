import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import type { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { createWarmer, defineConfig, load, PrewarmError } from '../../src/index.ts'
import { BUCKET_KEYS, bucketKey, bucketOf, LAST_KEY } from '../../src/predict/buckets.ts'
import { redisTarget } from '../../src/snapshot/redis-target.ts'
import { commandsTo } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const NEVER = new AbortController().signal

describe('snapshots', () => {
  let server: RedisServer
  let redis: Redis
  let commands: RedisCommands
  let folder: string
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    commands = commandsTo(server.url)
    folder = mkdtempSync(join(tmpdir(), 'prewarm-test-snapshot-'))
  }, TIMEOUT)
  beforeEach(async () => void (await redis.flushall()))
  after(async () => {
    redis.disconnect()
    await commands.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }, TIMEOUT)

  describe('in Redis', () => {
    const target = () => redisTarget('redis:hot', commands)
    const text = (count: number, head = 'head') =>
      `${[head, ...Array.from({ length: count }, (_, at) => `line ${at}`)].join('\n')}\n`

    it('are written and read whole, and nothing is left beside them', TIMEOUT, async () => {
      assertEquals([await target().read(), await target().readHead()], [null, null])
      for (const count of [0, 1, 998, 999, 1000, 5000]) {
        await target().write(text(count), NEVER)
        assertEquals(await target().read(), text(count), `${count} lines`)
        assertEquals(await target().readHead(), 'head')
        assertEquals(await redis.keys('*'), ['prewarm:snapshot:hot'])
        assertEquals(await redis.pttl('prewarm:snapshot:hot'), -1)
      }
    })

    it('stay where a new one is cut off', TIMEOUT, async () => {
      await target().write(text(3), NEVER)
      const abort = new AbortController()
      const writing = target().write(text(5000, 'new'), abort.signal)
      abort.abort()
      assertEquals((await assertRejects(() => writing, PrewarmError)).code, 'JOB_CANCELLED')
      assertEquals(await target().read(), text(3))
      assertEquals(await redis.keys('*'), ['prewarm:snapshot:hot'])
    })

    it('are never half of one and half of another', TIMEOUT, async () => {
      await target().write(text(3000, 'head 0'), NEVER)
      let isOver = false
      const writing = (async () => {
        for (let n = 1; !isOver; n++) await target().write(text(3000 + n, `head ${n}`), NEVER)
      })()
      const reader = commandsTo(server.url)
      for (let n = 0; n < 30; n++) {
        const found = await redisTarget('redis:hot', reader)
          .read()
          .catch((error: PrewarmError) => {
            assertEquals(error.code, 'CONFLICT')
            return null
          })
        if (found === null) continue
        const lines = found.trimEnd().split('\n')
        assertEquals(lines.length, 3001 + Number((lines[0] as string).slice('head '.length)))
      }
      isOver = true
      await writing
      await reader.close()
    })
  })

  const values = (keys: readonly string[]) => new Map(keys.map((key) => [key, { key }]))
  const config = (more: object = {}, name = 'films') =>
    defineConfig({
      redis: server.url,
      tasks: { [name]: load({ key: 'film:{id}', ttl: '1h', load: values }) },
      snapshot: { to: 'redis:hot' },
      ...more,
    })
  /** Reads that the access log knows of, hottest first. */
  const readOf = async (keys: readonly string[]) => {
    const scores = keys.flatMap((key, at) => [keys.length - at, key])
    await redis.zadd(bucketKey(bucketOf(Date.now())), ...scores)
    await redis.zadd(LAST_KEY, ...keys.flatMap((key) => [Date.now(), key]))
    assert(keys.length <= BUCKET_KEYS)
  }
  const films = (count: number) => Array.from({ length: count }, (_, at) => `film:${at}`)

  it('hold the hottest keys that have a task, and what they have left to live', TIMEOUT, async () => {
    await using warmer = await createWarmer({ env: {}, config: config() })
    await readOf(['film:1', 'other:1', 'film:2', 'prewarm:jobs', 'film:3', 'film:4'])
    await redis.set('film:1', '1', 'EX', 100)
    await redis.set('film:2', '1')
    const outcome = await warmer.snapshots.save({ limit: 3 })
    assertEquals(outcome, { to: 'redis:hot', keys: 3, saved: true, reason: null })
    const { entries, keys } = await warmer.snapshots.read()
    assertEquals([keys, entries.map(({ key }) => key)], [3, ['film:1', 'film:2', 'film:3']])
    const [first, second, third] = entries.map(({ ttlMs }) => ttlMs)
    assert((first as number) > 90_000 && (first as number) <= 100_000)
    assertEquals([second, third], [-1, null])
  })

  it('are not replaced after FLUSHALL by a list of nothing, or of next to nothing', TIMEOUT, async () => {
    const to = join(folder, 'kept.ndjson')
    await using warmer = await createWarmer({ env: {}, config: config() })
    await readOf(films(100))
    assertEquals((await warmer.snapshots.save({ to })).saved, true)
    const text = readFileSync(to, 'utf8')
    await redis.flushall()
    const empty = await warmer.snapshots.save({ to })
    assertEquals([empty.saved, empty.keys, empty.reason], [false, 0, 'no hot key is known now'])
    await readOf(films(49))
    const few = await warmer.snapshots.save({ to })
    assertEquals([few.saved, few.keys], [false, 49])
    assertStringIncludes(few.reason ?? '', 'fewer than half of the 100')
    assertEquals(readFileSync(to, 'utf8'), text)
    // What can't be loaded is worth nothing, whatever its head says.
    writeFileSync(to, text.slice(0, -30))
    assertEquals((await warmer.snapshots.save({ to })).saved, true)
    writeFileSync(to, text)
    assertEquals((await warmer.snapshots.save({ to, force: true })).saved, true)
    await readOf(films(50))
    writeFileSync(to, text)
    assertEquals((await warmer.snapshots.save({ to })).saved, true)
  })

  it('stay as they are where Redis is away', TIMEOUT, async () => {
    const to = join(folder, 'away.ndjson')
    {
      await using warmer = await createWarmer({ env: {}, config: config() })
      await readOf(films(10))
      await warmer.snapshots.save({ to })
    }
    const text = readFileSync(to, 'utf8')
    await using warmer = await createWarmer({ env: {}, config: config({ redis: 'redis://127.0.0.1:1' }) })
    const error = await assertRejects(() => warmer.snapshots.save({ to, force: true }), PrewarmError)
    assertEquals([error.code, readFileSync(to, 'utf8')], ['STORE_UNREACHABLE', text])
  })

  it(
    'are warmed again, are refused under another configuration, and are loaded under it if told',
    TIMEOUT,
    async () => {
      const to = join(folder, 'again.ndjson.gz')
      {
        await using warmer = await createWarmer({ env: {}, config: config() })
        await readOf(films(1500))
        await warmer.snapshots.save({ to })
      }
      await redis.flushall()
      await redis.set('film:7', 'there')
      {
        await using warmer = await createWarmer({ env: {}, config: config() })
        const end = await warmer.snapshots.load({ from: to })
        assertEquals([end.ended, end.keys, end.loaded, end.present, end.left], ['all', 1500, 1499, 1, 0])
        assertEquals(
          [await redis.get('film:7'), JSON.parse((await redis.get('film:8')) ?? '')],
          ['there', { key: 'film:8' }],
        )
        assertEquals((await warmer.snapshots.load({ from: to })).present, 1500)
      }
      await redis.flushall()
      await using other = await createWarmer({ env: {}, config: config({}, 'movies') })
      const error = await assertRejects(() => other.snapshots.load({ from: to }), PrewarmError)
      assertEquals(error.code, 'SNAPSHOT_MISMATCH')
      assert(/configuration [0-9a-f]{16}, this one is [0-9a-f]{16}.*--any-config/.test(error.message), error.message)
      assertEquals(await redis.dbsize(), 0)
      assertEquals((await other.snapshots.load({ from: to, anyConfig: true })).loaded, 1500)
    },
  )

  it('never replace a file that is no snapshot, unless told', TIMEOUT, async () => {
    await using warmer = await createWarmer({ env: {}, config: config() })
    await readOf(films(5))
    const cases: [name: string, held: Uint8Array, isKept: boolean][] = [
      ['prewarm.config.ts', Buffer.from('export default {}\n'), true],
      ['other.ndjson', Buffer.from('{"key":"a"}\n'), true],
      ['access.log.gz', gzipSync('GET /\n'), true],
      ['picture.png', Buffer.from([0x89, 0x50, 0xff, 0xfe, 0]), true],
      ['empty.ndjson', Buffer.from(''), false],
      ['cut.ndjson', Buffer.from('{"prewarm":"snap'), false],
      ['cut.gz', gzipSync('{"prewarm":"snapshot"}').subarray(0, 20), false],
    ]
    for (const [name, held, isKept] of cases) {
      const to = join(folder, name)
      writeFileSync(to, held)
      const { saved, reason } = await warmer.snapshots.save({ to })
      assertEquals([saved, reason], isKept ? [false, 'it is no snapshot'] : [true, null], name)
      assertEquals(Buffer.compare(readFileSync(to), held) === 0, isKept, name)
      assertEquals((await warmer.snapshots.save({ to, force: true })).saved, true, name)
    }
  })

  it('that are broken load nothing at all', TIMEOUT, async () => {
    const to = join(folder, 'broken.ndjson')
    await using warmer = await createWarmer({ env: {}, config: config() })
    await readOf(films(100))
    await warmer.snapshots.save({ to })
    const text = readFileSync(to, 'utf8')
    await redis.flushall()
    writeFileSync(to, text.slice(0, -30))
    const error = await assertRejects(() => warmer.snapshots.load({ from: to }), PrewarmError)
    assertEquals([error.code, await redis.dbsize()], ['SNAPSHOT_INVALID', 0])
    const none = await assertRejects(() => warmer.snapshots.load({ from: join(folder, 'none') }), PrewarmError)
    assertEquals(none.code, 'NOT_FOUND')
    await redis.set('prewarm:snapshot:hot', 'a text')
    assertEquals((await assertRejects(() => warmer.snapshots.load(), PrewarmError)).code, 'STORE_REFUSED')
  })
})
