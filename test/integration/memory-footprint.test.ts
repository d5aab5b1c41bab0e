import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisStore } from '../../src/store/redis.ts'
import { clock } from '../support/coordination.ts'
import { bound, fillCold, fillHot, names, shareOf } from '../support/full-redis.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const HOT = names('hot', 8000)

describe('a run that begins when Redis is full', () => {
  let server: RedisServer
  let redis: Redis
  let folder: string
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    folder = mkdtempSync(join(tmpdir(), 'prewarm-test-footprint-'))
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }, TIMEOUT)

  it('is joined by a worker whose first batch only looks', TIMEOUT, async () => {
    const store = new RedisStore({ url: server.url, clock })
    try {
      const both = await Promise.all([store.ttlsMs(['none']), store.randomKeys(1)])
      assertEquals(both, [[-2], []])
    } finally {
      await store.close()
    }
  })

  it('takes as little of its memory as it can: two connections, and no script', TIMEOUT, async () => {
    const file = join(folder, 'prewarm.config.ts')
    const select = 'Array.from({ length: 20_000 }, (_, id) => ({ id }))'
    const values = "new Map(keys.map((key) => [key, { key, text: 'y'.repeat(900) }]))"
    writeFileSync(
      file,
      `import { defineConfig, load } from 'prewarm'
export default defineConfig({ workers: 2, tasks: { new: load({ key: 'new:{id}', select: () => ${select}, load: (keys) => ${values} }) } })`,
    )
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await fillCold(redis, names('cold', 2000), 'lru')
    await fillHot(redis, HOT)
    await bound(redis)
    await redis.config('RESETSTAT')
    const { memory } = await withWarmer({ file, env: { REDIS_URL: server.url } }, (warmer) => warmer.submit().result)
    assertEquals(memory?.leftOut, 20_000)
    const stats = await redis.info()
    assert(!stats.includes('cmdstat_script|load') && !stats.includes('cmdstat_eval'), stats)
    assertEquals(/^total_connections_received:(\d+)/m.exec(stats)?.[1], '2')
    const kept = await shareOf(redis, HOT)
    assert(kept >= 0.99, `${kept} of the hot keys are left`)
  })
})
