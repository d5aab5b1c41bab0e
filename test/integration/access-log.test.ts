import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { ADD_READS, BUCKET_MS, bucketKey, bucketOf, LAST_KEY } from '../../src/predict/buckets.ts'
import { createModel, loadModel } from '../../src/predict/model/index.ts'
import { ModelHolder } from '../../src/predict/online/model-holder.ts'
import { OnlinePredictor } from '../../src/predict/online/predictor.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const HOUR = 3_600_000

describe('the access log in Redis', () => {
  let server: RedisServer
  let redis: Redis
  let commands: RedisCommands
  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
    commands = new RedisCommands({ url: server.url, clock: systemClock(currentRuntime().nowNs) })
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await commands.close()
    await server.stop()
  })

  const startMs = BUCKET_MS * 5_000_000

  it('sums up what several processes have seen, and expires', TIMEOUT, async () => {
    const clock = new FakeClock(startMs)
    const logs = [1, 2, 3].map(() => new AccessLog({ commands, clock }))
    for (const log of logs) for (const key of ['a', 'a', 'é:😀']) log.record(key)
    clock.tick(1234)
    logs[1]?.record('b')
    await Promise.all(logs.map((log) => log.flush()))
    const key = bucketKey(bucketOf(startMs))
    assertEquals(await redis.zrevrange(key, 0, -1, 'WITHSCORES'), ['a', '6', 'é:😀', '3', 'b', '1'])
    assertEquals([await redis.zscore(LAST_KEY, 'a'), await redis.zscore(LAST_KEY, 'b')].map(Number), [
      startMs,
      startMs + 1234,
    ])
    assertEquals((await redis.keys('*')).sort(), [key, LAST_KEY].sort())
    for (const one of [key, LAST_KEY]) {
      const ttlMs = await redis.pttl(one)
      assert(ttlMs > 24 * HOUR && ttlMs <= 25 * HOUR, `${one} has ${ttlMs} ms`)
    }
  })

  it('never moves a last read back', TIMEOUT, async () => {
    const clock = new FakeClock(startMs)
    const behind = new AccessLog({ commands, clock: new FakeClock(startMs - 60_000) })
    const log = new AccessLog({ commands, clock })
    log.record('a')
    behind.record('a')
    await log.flush()
    await behind.flush()
    assertEquals(Number(await redis.zscore(LAST_KEY, 'a')), startMs)
  })

  it('keeps the 10,000 keys read most, and those read last', TIMEOUT, async () => {
    const clock = new FakeClock(startMs)
    const key = bucketKey(bucketOf(startMs))
    for (let round = 0; round < 3; round++) {
      const log = new AccessLog({ commands, clock })
      for (let at = 0; at < 100; at++) for (let times = 0; times < 2; times++) log.record(`hot:${at}`)
      for (let at = 0; at < 6000; at++) log.record(`once:${round}:${at}`)
      await log.flush()
      clock.tick(1000)
    }
    assertEquals([await redis.zcard(key), await redis.zcard(LAST_KEY)], [10_000, 10_000])
    const hottest = await redis.zrevrange(key, 0, 99, 'WITHSCORES')
    assertEquals(new Set(hottest.filter((_, index) => index % 2 === 0)).size, 100)
    assert(hottest.every((text, index) => (index % 2 === 0 ? text.startsWith('hot:') : text === '6')))
    assertEquals(await redis.zscore(LAST_KEY, 'once:0:1'), null)
    assertEquals(Number(await redis.zscore(LAST_KEY, 'once:2:1')), startMs + 2000)
  })

  it('is what the predictor goes by', TIMEOUT, async () => {
    const clock = new FakeClock(HOUR * 416_667)
    const log = new AccessLog({ commands, clock })
    const predictor = new OnlinePredictor({
      ...{ commands, clock, holder: 'test', locks: new RedisLocks({ commands, clock }) },
      worker: new ModelHolder({ create: createModel, load: loadModel }),
      settings: () => ({ predictor: 'heuristic', windowMs: HOUR, keys: 1000 }),
    })
    const readAll = async (times: Record<string, number>) => {
      for (const [key, count] of Object.entries(times)) for (let at = 0; at < count; at++) log.record(key)
      await log.flush()
    }
    await readAll({ steady: 10, grows: 2, gone: 500 })
    clock.tick(HOUR)
    await readAll({ steady: 10, grows: 8 })
    clock.tick(HOUR + 20_000)
    const hot = await predictor.predict({ limit: 9, windowMs: HOUR })
    assertEquals(
      hot.map(({ key }) => key),
      ['grows', 'steady'],
    )
    assertStringIncludes(hot[0]?.reason ?? '', 'growth +')
    // It has read what is in the log, and not more.
    assertEquals((await predictor.predict({ limit: 1, predictor: 'frequency' }))[0]?.score, 500)
  })

  it('goes on counting over a while in which Redis is gone', TIMEOUT, async () => {
    const clock = new FakeClock(startMs)
    const errors: unknown[] = []
    const log = new AccessLog({ commands, clock, onError: (error) => errors.push(error) })
    await commands.script(ADD_READS, [bucketKey(1), LAST_KEY], [10, 1000, 'a', 1, 1])
    server.pause()
    log.record('a')
    await log.flush()
    server.resume()
    assertEquals(errors.length, 1)
    for (let tries = 0; log.size > 0 && tries < 200; tries++) {
      await log.flush()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    // What was sent while the server stood still it may have done afterwards: counted twice at most.
    const reads = Number(await redis.zscore(bucketKey(bucketOf(startMs)), 'a'))
    assert(reads === 1 || reads === 2, `${reads}`)
  })
})
