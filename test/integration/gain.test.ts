import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { GAIN_BUCKET_MS, GAIN_KEPT_MS, POOLS_KEY, READERS_KEY } from '../../src/gain/buckets.ts'
import { gainFigures } from '../../src/gain/figures.ts'
import { GainLog } from '../../src/gain/gain-log.ts'
import { warmingPerformance } from '../../src/gain/performance.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { bucketOf, tiersKey } from '../../src/predict/buckets.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { FakeClock } from '../fakes/clock.ts'
import { told } from '../gain/support.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 120_000 }
const MINUTE = 60_000

describe('what warming gained, in Redis', () => {
  let server: RedisServer
  let redis: Redis
  let commands: RedisCommands
  let clock: FakeClock
  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
    commands = new RedisCommands({ url: server.url, clock: systemClock(currentRuntime().nowNs) })
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.flushall()
    // Redis lets records go by its own clock: the future is safe from that.
    clock = new FakeClock((Math.floor(Date.now() / GAIN_BUCKET_MS) + 100) * GAIN_BUCKET_MS)
  })
  after(async () => {
    redis.disconnect()
    await commands.close()
    await server.stop()
  })

  const logs = (count: number) => Array.from({ length: count }, () => new GainLog({ commands, clock }))
  const flush = (all: GainLog[]) => Promise.all(all.map((log) => log.flush()))

  it('is the share that was read, to within three percent, however many processes read', TIMEOUT, async () => {
    const [warmer, ...readers] = logs(4) as [GainLog, ...GainLog[]]
    const truth = { films: 0, actors: 0 }
    const ttlMs = 5 * MINUTE
    // An hour of warming every five minutes; each entry has an end of its own, up to a tenth early.
    for (let round = 0; round < 12; round++) {
      for (const [task, keys, share] of [
        ['films', 4000, 0.85],
        ['actors', 1000, 0.3],
      ] as const) {
        for (let batch = 0; batch < keys / 50; batch++) warmer.warmed({ task, keys: 50, ttlMs, jitter: 0.1 })
        const read = Math.round(keys * share)
        truth[task] += read
        for (let n = 0; n < read; n++) {
          const expiresAtMs = clock.nowMs() + ttlMs - Math.floor(((n * 7919) % keys) * (ttlMs / 10 / keys))
          // Some are read by all processes and often, some by one and once.
          for (const reader of n % 3 === 0 ? readers : [readers[n % 3] as GainLog])
            reader.read(told({ key: `${task}:${n}`, keyspace: task, expiresAtMs }))
        }
      }
      await flush([warmer, ...readers])
      clock.tick(5 * MINUTE)
    }
    clock.tick(30 * MINUTE)
    const figures = await gainFigures({ commands, clock })
    const near = (value: number, expected: number) =>
      assert(Math.abs(value / expected - 1) < 0.03, `${value}, in truth ${expected}`)
    assertEquals(
      [figures.ended.warmed, figures.live, readers.map(({ dropped }) => dropped)],
      [60_000, { warmed: 0, read: 0 }, [0, 0, 0]],
    )
    near(figures.ended.read, truth.films + truth.actors)
    near(figures.ended.byTask.get('films')?.read ?? 0, truth.films)
    near(figures.ended.byTask.get('actors')?.read ?? 0, truth.actors)
    const told_ = warmingPerformance([], figures, clock.nowMs())
    near(told_.efficiency_score ?? 0, 74)
    near(told_.keys_wasted, 60_000 - truth.films - truth.actors)
    assertEquals(told_.efficiency, 'low')
  })

  it('looks at what has expired, and says apart how it goes with the rest', TIMEOUT, async () => {
    const [log] = logs(1) as [GainLog]
    log.warmed({ task: 'films', keys: 10, ttlMs: 5 * MINUTE, jitter: 0 })
    for (let n = 0; n < 4; n++) log.read(told({ key: `k:${n}`, expiresAtMs: clock.nowMs() + 5 * MINUTE }))
    await log.flush()
    const entriesNow = async () => {
      const { ended, live } = await gainFigures({ commands, clock })
      return [ended.warmed, ended.read, live.warmed, live.read]
    }
    assertEquals(await entriesNow(), [0, 0, 10, 4])
    clock.tick(10 * MINUTE)
    // Readers may not have told of the last reads yet.
    assertEquals(await entriesNow(), [0, 0, 10, 4])
    clock.tick(15_000)
    assertEquals(await entriesNow(), [10, 4, 0, 0])
    clock.tick(6 * 60 * MINUTE - 15_001)
    assertEquals(await entriesNow(), [10, 4, 0, 0])
    clock.tick(10 * MINUTE)
    assertEquals(await entriesNow(), [0, 0, 0, 0])
  })

  it('never says that more was read than was warmed, nor counts reads of what lives too long', TIMEOUT, async () => {
    const [log] = logs(1) as [GainLog]
    const expiresAtMs = clock.nowMs() + MINUTE
    log.warmed({ task: 'films', keys: 5, ttlMs: MINUTE, jitter: 0 })
    log.warmed({ task: 'years', keys: 500, ttlMs: 365 * 24 * 60 * MINUTE, jitter: 0 })
    log.warmed({ task: 'actors', keys: 10, ttlMs: MINUTE, jitter: 0 })
    for (let n = 0; n < 9; n++) log.read(told({ key: `k:${n}`, expiresAtMs }))
    for (let n = 0; n < 99; n++) log.read(told({ key: `y:${n}`, keyspace: 'years', expiresAtMs }))
    log.read(told({ key: 'y', keyspace: 'years', expiresAtMs: clock.nowMs() + 364 * 24 * 60 * MINUTE }))
    await log.flush()
    clock.tick(11 * MINUTE)
    const { ended } = await gainFigures({ commands, clock })
    const read = (task: string) => ended.byTask.get(task)?.read
    assertEquals([...ended.byTask.keys()], ['actors', 'films'])
    assertEquals([ended.warmed, ended.read, read('films'), read('actors')], [15, 9, 5, 0])
  })

  it('sums up the last hour’s reads over processes', TIMEOUT, async () => {
    const [a, b] = logs(2) as [GainLog, GainLog]
    a.read(told({ tier: 'memory' }))
    await flush([a, b])
    clock.tick(90 * MINUTE)
    a.read(told({ status: 'stale', filledBy: 'read' }))
    b.read(told({ tier: 'memory' }))
    b.read(told({ tier: 'origin', status: 'miss', filledBy: 'read', keyspace: 'a:b', expiresAtMs: 0 }))
    b.error({ keyspace: null, tier: 'redis' })
    a.invalidated(4)
    await flush([a, b])
    const { reads, isObserved } = await gainFigures({ commands, clock })
    assertEquals(reads, { hits: 2, misses: 1, stale: 1, errors: 1, invalidations: 4, warmHits: 1 })
    assertEquals(isObserved, true)
  })

  it('knows nothing of an empty Redis', TIMEOUT, async () => {
    const { reads, ended, isObserved, pool } = await gainFigures({ commands, clock })
    assertEquals(reads, { hits: 0, misses: 0, stale: 0, errors: 0, invalidations: 0, warmHits: 0 })
    assertEquals([ended.warmed, ended.read, isObserved, pool], [0, 0, false, null])
  })

  it('leaves no key where only warming is', TIMEOUT, async () => {
    const [log] = logs(1) as [GainLog]
    log.warmed({ task: 'films', keys: 10, ttlMs: 5 * MINUTE, jitter: 0 })
    await log.stop()
    assertEquals(await redis.keys('*'), [])
    log.read(told({ tier: 'origin', status: 'miss' }))
    await log.stop()
    assertEquals((await gainFigures({ commands, clock })).live, { warmed: 10, read: 0 })
  })

  it('sums up the pools of services that are there', TIMEOUT, async () => {
    const service = (instance: string, pending: number) =>
      new GainLog({
        commands,
        clock,
        flushMs: 60 * MINUTE,
        pool: { instance, figures: () => ({ size: 4, available: 1, pending }) },
      })
    const [a, b] = [service('a', 3), service('b', 9)]
    a.start()
    b.start()
    await flush([a, b])
    assertEquals((await gainFigures({ commands, clock })).pool, { size: 8, available: 2, pending: 12 })
    clock.tick(20_000)
    await b.flush()
    clock.tick(20_000)
    assertEquals((await gainFigures({ commands, clock })).pool, { size: 4, available: 1, pending: 9 })
    await b.flush()
    assertEquals(await redis.hkeys(POOLS_KEY), ['b'])
    await Promise.all([a.stop(), b.stop()])
  })

  it('keeps its records for a bounded time, and leaves none without one', TIMEOUT, async () => {
    const access = new AccessLog({ commands, clock })
    const log = new GainLog({ commands, clock, access })
    log.warmed({ task: 'films', keys: 5, ttlMs: MINUTE, jitter: 0 })
    log.read(told({ tier: 'memory', expiresAtMs: clock.nowMs() + MINUTE }))
    log.read(told({ tier: 'origin', status: 'miss' }))
    await Promise.all([log.flush(), access.flush()])
    assertEquals(await redis.hgetall(tiersKey(bucketOf(clock.nowMs()))), { memory: '1', origin: '1' })
    const keys = await redis.keys('*')
    assertEquals(keys.filter((key) => key.startsWith('prewarm:gain:')).length, 4)
    for (const key of keys) {
      const leftMs = await redis.pttl(key)
      const mostMs = clock.nowMs() - Date.now() + GAIN_BUCKET_MS + GAIN_KEPT_MS
      assert(leftMs > 0 && leftMs <= Math.max(mostMs, 7 * 24 * 60 * MINUTE), `${key} has ${leftMs} ms`)
    }
    for (const key of keys.filter((one) => one.startsWith('prewarm:gain:') && one !== READERS_KEY))
      assert((await redis.pttl(key)) <= clock.nowMs() - Date.now() + GAIN_BUCKET_MS + GAIN_KEPT_MS + 1000, key)
  })
})
