import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import type { Redis } from 'ioredis'
import { createWarmer, defineConfig, load, type Warmer } from '../../src/index.ts'
import { BUCKET_MS } from '../../src/predict/buckets.ts'
import { StateStore, stateKey } from '../../src/predict/online/state.ts'
import { noteReads, windowAgo } from '../support/access-log.ts'
import { commandsTo, looker, until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = 1000
const KEY = stateKey({ windowMs: BUCKET_MS, capacity: KEYS })
const DAY = 86_400_000

describe('prediction, with a real Redis', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = looker(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  function warmer({ keys = KEYS, service = false } = {}): Promise<Warmer> {
    const values = (wanted: string[]) => new Map(wanted.map((key) => [key, { key }]))
    const config = defineConfig({
      redis: server.url,
      prediction: { window: '5m', keys },
      tasks: { films: load({ key: 'film:{id}', load: values, select: () => [] }) },
    })
    return createWarmer({ config, env: {}, service })
  }

  /** Windows between the first one that was read in and the last one that was folded. */
  async function windowsSince(fromMs: number): Promise<[folded: number, passed: number]> {
    const [windows, foldedToMs] = await redis.hmget(KEY, 'windows', 'foldedToMs')
    return [Number(windows), (Number(foldedToMs) - fromMs) / BUCKET_MS]
  }

  it('folds each window once, however many services there are', TIMEOUT, async () => {
    const fromMs = windowAgo(6)
    await noteReads(redis, fromMs, { 'film:1': 5, 'film:2': 1 })
    await noteReads(redis, windowAgo(4), { 'film:1': 5, 'film:3': 2 })
    await noteReads(redis, Date.now(), { 'film:4': 1 })
    const services = await Promise.all([1, 2, 3].map(() => warmer({ service: true })))
    try {
      await Promise.all(services.map((one) => one.start()))
      // They fold by themselves: nobody has asked for anything yet.
      await until(async () => (await redis.exists(KEY)) === 1)
      const all = await Promise.all(
        [...services, ...services].map((one) => one.predict({ limit: 9, windowMs: BUCKET_MS, predictor: 'frequency' })),
      )
      for (const hot of all) {
        const scores = Object.fromEntries(hot.map(({ key, score }) => [key, score]))
        assertEquals(scores, { 'film:1': 10, 'film:2': 1, 'film:3': 2, 'film:4': 1 })
      }
      const [folded, passed] = await windowsSince(fromMs)
      assertEquals(folded, passed)
      assert(folded >= 5, `${folded}`)
      assertEquals(await redis.keys('cache:warmup:lock*'), [])
    } finally {
      await Promise.all(services.map((one) => one.stop()))
    }
  })

  it('goes on where another process has left off, and tells how predictions did', TIMEOUT, async () => {
    const fromMs = windowAgo(6)
    for (let at = 0; at < 6; at++)
      await noteReads(redis, fromMs + at * BUCKET_MS, { 'film:1': 5, [`film:${at + 2}`]: 1 })
    await using first = await warmer()
    const hot = await first.predictHotKeys(BUCKET_MS, 3)
    assertEquals([hot.length, hot[0]?.key], [3, 'film:1'])
    assertMatch(hot[0]?.reason ?? '', /window/)
    const id = await redis.hget(KEY, 'id')
    await redis.del(...(await redis.keys('prewarm:access:*')))
    await using second = await warmer()
    assertEquals((await second.predictHotKeys(BUCKET_MS, 1))[0]?.key, 'film:1')
    const { windows, scores } = await second.prediction()
    assertEquals([windows, windows], await windowsSince(fromMs))
    assertEquals(scores.map(({ predictor }) => predictor).sort(), [
      'decayed',
      'frequency',
      'heuristic',
      'learned',
      'recency',
    ])
    // Unless a window has ended meanwhile, it is the very same state.
    if (windows === 6) assertEquals(await redis.hget(KEY, 'id'), id)
  })

  it('folds again what a killed process was folding', TIMEOUT, async () => {
    const fromMs = windowAgo(3)
    await noteReads(redis, fromMs, { 'film:1': 5 })
    const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures', 'folding.ts'), server.url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await exited
    assertEquals([await redis.exists(KEY), await redis.exists('cache:warmup:lock:predict')], [0, 1])
    await using other = await warmer()
    // As long as the dead one's lock lasts, answers go by the log.
    assertEquals((await other.predictHotKeys(BUCKET_MS, 1))[0]?.key, 'film:1')
    await until(async () => (await redis.exists('cache:warmup:lock:predict')) === 0)
    assertEquals((await other.predictHotKeys(BUCKET_MS, 1))[0]?.key, 'film:1')
    const [folded, passed] = await windowsSince(fromMs)
    assertEquals(folded, passed)
  })

  it('replaces a state that it can not use', TIMEOUT, async () => {
    const fromMs = windowAgo(3)
    for (const [field, value] of [
      ['state', 'nonsense'],
      ['format', '99'],
    ] as const) {
      await noteReads(redis, fromMs, { 'film:1': 5 })
      await using first = await warmer()
      await first.predictHotKeys(BUCKET_MS, 1)
      await redis.hset(KEY, { [field]: value, foldedToMs: windowAgo(2) })
      await using second = await warmer()
      assertEquals((await second.predictHotKeys(BUCKET_MS, 1))[0]?.key, 'film:1')
      const [folded, passed] = await windowsSince(fromMs)
      assertEquals(folded, passed)
      await redis.flushall()
    }
  })

  it('stores a state only over the one it was made of, or one that can not be used', TIMEOUT, async () => {
    const commands = commandsTo(server.url)
    try {
      const states = new StateStore(commands)
      const of = { windowMs: BUCKET_MS, capacity: KEYS }
      const store = (id: string, windows: number, replaced: string | null = null) =>
        states.store(of, { id, foldedToMs: windows * BUCKET_MS, windows, scores: [] }, `state ${id}`, replaced)
      assertEquals(await states.head(of), { is: 'none' })
      assertEquals(
        [await store('a', 5), await store('b', 6), await store('c', 6, 'b'), await store('d', 6, 'a')],
        [true, false, false, true],
      )
      assertEquals(await states.head(of), {
        is: 'there',
        head: { id: 'd', foldedToMs: 6 * BUCKET_MS, windows: 6, scores: [] },
      })
      assertEquals([await states.load(of, 'd'), await states.load(of, 'a')], ['state d', null])
      // What was evicted meanwhile is no reason to forget what was folded; what has no id can't be used.
      await redis.del(KEY)
      assertEquals(await store('e', 7, 'd'), true)
      await redis.hdel(KEY, 'id')
      assertEquals([await store('f', 1, ''), (await states.head(of)).is], [true, 'there'])
    } finally {
      await commands.close()
    }
  })

  it('keeps a bounded state, for 30 days after the last window', TIMEOUT, async () => {
    const counts = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`film:${index}`, 1 + (index % 9)]))
    const pipeline = redis.pipeline()
    for (const ago of [4, 3, 2])
      for (const [key, reads] of Object.entries(counts))
        pipeline.zincrby(`prewarm:access:${windowAgo(ago) / BUCKET_MS}`, reads, `${ago}:${key}`)
    await pipeline.exec()
    await using small = await warmer({ keys: 100 })
    const hot = await small.predict({ limit: 10_000, windowMs: BUCKET_MS })
    assert(hot.length > 0 && hot.length <= 200, `${hot.length} keys`)
    const key = stateKey({ windowMs: BUCKET_MS, capacity: 100 })
    assertEquals(await redis.keys('prewarm:predict:*'), [key])
    const bytes = await redis.hstrlen(key, 'state')
    assert(bytes < 50_000, `${bytes} bytes`)
    const ttlMs = await redis.pttl(key)
    assert(ttlMs > 29 * DAY && ttlMs <= 30 * DAY, `${ttlMs} ms`)
  })

  it('shows how predictions did in a service’s metrics', TIMEOUT, async () => {
    for (let ago = 6; ago > 1; ago--) await noteReads(redis, windowAgo(ago), { 'film:1': 5, [`film:${ago}`]: 1 })
    await noteReads(redis, windowAgo(1), { 'film:1': 5 })
    await using service = await warmer({ service: true })
    await service.start()
    await until(async () => /^cache_prediction_learned_timestamp_seconds \d/m.test((await service.metrics()).text))
    await service.predictHotKeys(BUCKET_MS, 1)
    const { text } = await service.metrics()
    // The window before this one may be settling: then the last but one was folded last.
    for (const name of ['precision', 'coverage'])
      assertMatch(text, new RegExp(`^cache_prediction_${name}_ratio\\{predictor="learned"\\} (0\\.\\d+|1)$`, 'm'))
    assert(!text.includes('film:'), 'a key is shown')
  })

  it('makes jobs of what is predicted', TIMEOUT, async () => {
    await noteReads(redis, windowAgo(3), { 'film:1': 5, 'other:1': 9 })
    await using one = await warmer()
    const hot = await one.predict({ limit: 9, windowMs: BUCKET_MS })
    assertEquals(
      hot.map(({ key }) => key),
      ['other:1', 'film:1'],
    )
    const { keys, status } = await one.submit({
      keys: one.tasksOf(hot.map(({ key }) => key)).matched.get('films') ?? [],
    }).result
    assertEquals([status, keys.written, await redis.exists('film:1')], ['success', 1, 1])
  })
})
