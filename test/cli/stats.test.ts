import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { GAIN_BUCKET_MS, warmedKey } from '../../src/gain/buckets.ts'
import { GainLog } from '../../src/gain/gain-log.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { told } from '../gain/support.ts'
import { noteReads, windowAgo } from '../support/access-log.ts'
import { type RedisServer, startPostgresServer, startRedisServer, type TestServer } from '../support/servers.ts'
import { CONFIG, Machine } from './support.ts'

describe('what `prewarm stats` tells of the gain', () => {
  const machine = new Machine()
  const clock = systemClock(currentRuntime().nowNs)
  let server: RedisServer
  let database: TestServer
  let redis: Redis
  let commands: RedisCommands

  before(async () => {
    ;[server, database] = await Promise.all([startRedisServer(), startPostgresServer()])
    redis = new Redis(server.url)
    commands = new RedisCommands({ url: server.url, clock })
    machine.env = { REDIS_URL: server.url, DATABASE_URL: database.url }
  })
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await commands.close()
    await Promise.all([server.stop(), database.stop()])
    machine.remove()
  })

  it('is nothing before the first read, and no number that is none', async () => {
    const { code, answer } = await machine.json('stats', 'docs', '--config', CONFIG)
    assertEquals([code, answer.gainError, answer.gain.cache.hitRate], [0, null, null])
    assertEquals(answer.gain.performance.efficiency_score, null)
    const { stdout } = await machine.run('stats', 'docs', '--config', CONFIG)
    assertStringIncludes(stdout, 'no reads yet')
    assertStringIncludes(stdout, 'verdict   nothing to judge yet')
    assert(!/NaN|undefined/.test(stdout), stdout)
  })

  it('is also what prediction has learned from, once it has', async () => {
    const { answer: before } = await machine.json('stats', 'docs', '--config', CONFIG)
    assertEquals([before.prediction.predictor, before.prediction.learnedUntil], ['learned', null])
    for (const ago of [11, 8, 5]) await noteReads(redis, windowAgo(ago), { 'doc:1': 2 })
    await machine.json('predict', '--config', CONFIG)
    const { answer } = await machine.json('stats', 'docs', '--config', CONFIG)
    assert(answer.prediction.windows > 1 && answer.prediction.learnedUntil !== null)
    const { stdout } = await machine.run('stats', 'docs', '--config', CONFIG)
    assertStringIncludes(stdout, 'predicts  by learned: learned from')
  })

  it('is what all processes told, with a verdict and what to do', async () => {
    await machine.json('run', 'docs', '--config', CONFIG)
    await redis.del(...(await redis.keys('prewarm:gain:*')), 'none')
    const pool = { instance: 'me', figures: () => ({ size: 4, available: 0, pending: 21 }) }
    const log = new GainLog({ commands, clock, pool })
    log.start()
    // They expired in the bucket before this one.
    const expiresAtMs = (Math.floor(Date.now() / GAIN_BUCKET_MS) - 1) * GAIN_BUCKET_MS - 1000
    const bucket = Math.floor(expiresAtMs / GAIN_BUCKET_MS)
    await redis.hset(warmedKey(bucket), 'docs', 20)
    for (let n = 0; n < 17; n++) log.read(told({ key: `doc:${n}`, keyspace: 'docs', expiresAtMs }))
    for (let n = 0; n < 8; n++) log.read(told({ tier: 'origin', status: 'miss', filledBy: 'read', expiresAtMs: 0 }))
    log.error({ keyspace: 'docs', tier: 'redis' })
    await log.flush()
    const { answer } = await machine.json('stats', 'docs', '--config', CONFIG)
    const { cache, pool: told_, verdict, performance } = answer.gain
    assertEquals([cache.hits, cache.misses, cache.hitRate, cache.errors], [17, 8, 0.68, 1])
    assertEquals(told_, { size: 4, available: 0, pending: 21 })
    assertEquals(
      verdict.map(({ what, level }: { what: string; level: string }) => [what, level]),
      [
        ['hit_rate', 'warning'],
        ['errors', 'ok'],
        ['pool_pending', 'critical'],
      ],
    )
    assertEquals([performance.keys_warmed, performance.keys_read, performance.keys_wasted], [20, 17, 3])
    assertEquals([performance.efficiency_score, performance.efficiency, performance.jobs], [85, 'good', 1])
    const { stdout } = await machine.run('stats', 'docs', '--config', CONFIG)
    for (const text of [
      "hit rate  68% of the last hour's reads (17 hits, 8 misses,",
      'warning: hit_rate 68%: warm more',
      'critical: pool_pending 21:',
      'gain      85 (good): 17 of 20 read, 3 never',
      'read at least once before they expired',
    ])
      assertStringIncludes(stdout, text)
    await log.stop()
  })
})
