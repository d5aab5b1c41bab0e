import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { createWarmer } from '../../src/compose.ts'
import { load } from '../../src/config/define.ts'
import type { Warmer } from '../../src/warmer.ts'
import { sampleOf, seriesOf } from '../metrics/support.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { tool } from './support.ts'

const SLOW = { timeout: 60_000 }

const listed = (prefix: string) => () => Array.from({ length: 40 }, (_, id) => ({ id: `${prefix}${id}` }))

describe('a real warmer’s metrics', () => {
  let redis: RedisServer
  let warmer: Warmer

  before(async () => {
    redis = await startRedisServer({ args: ['--maxmemory', '100mb'] })
    const config = {
      redis: redis.url,
      maxBatchSize: 10,
      retryAttempts: 0,
      tasks: {
        good: load({
          key: 'good:{id}',
          select: listed('g'),
          load: (keys: readonly string[]) => new Map(keys.map((key) => [key, { key }])),
        }),
        bad: load({
          key: 'bad:{id}',
          select: listed('b'),
          load: () => {
            throw new Error('the origin says no')
          },
        }),
      },
    }
    warmer = await createWarmer({ config, env: {}, service: true })
    await warmer.metrics() // counts from here on
  }, SLOW)
  after(async () => {
    await warmer?.stop()
    await redis?.stop()
  }, SLOW)

  it('say the same as its results and its status, and promtool finds nothing to say against them', SLOW, async () => {
    const good = await warmer.submit({ tasks: ['good'] }).result
    const bad = await warmer.submit({ tasks: ['bad'] }).result
    assertEquals([good.status, bad.status], ['success', 'failed'])
    const { text } = await warmer.metrics()
    assertEquals(tool('promtool', ['check', 'metrics'], { input: text }), { code: 0, output: '' })
    const keys = (task: string, outcome: string) =>
      sampleOf(text, `warming_keys_total{task="${task}",outcome="${outcome}"}`)
    assertEquals([keys('good', 'written'), keys('bad', 'failed'), keys('other', 'failed')], [40, 40, 0])
    const { totals, workers } = warmer.status()
    assertEquals(
      [
        sampleOf(text, 'warming_success_total'),
        sampleOf(text, 'warming_failure_total'),
        sampleOf(text, 'warming_cache_writes_total'),
        sampleOf(text, 'warming_origin_requests_total'),
      ],
      [totals.succeeded, totals.failed, totals.cacheWrites, totals.originRequests],
    )
    assertEquals(totals.cacheWrites, 40)
    assertEquals(sampleOf(text, 'warming_duration_seconds_count'), 2)
    const workerStates = seriesOf(text, 'warming_workers').map((series) => sampleOf(text, series) ?? 0)
    assertEquals(
      workerStates.reduce((sum, count) => sum + count, 0),
      workers.length,
    )
    assert((sampleOf(text, 'redis_memory_usage_bytes') ?? 0) > 100_000)
    assertEquals(sampleOf(text, 'redis_memory_max_bytes'), 100 * 1024 * 1024)
  })

  it('are there without Redis’ memory while Redis does not answer', SLOW, async () => {
    redis.pause()
    try {
      const { text } = await warmer.metrics()
      assertEquals(seriesOf(text, 'redis_memory_usage_bytes'), [])
      assertEquals(sampleOf(text, 'warming_success_total'), 1)
    } finally {
      redis.resume()
    }
  })
})
