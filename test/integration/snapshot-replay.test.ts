import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { traces } from '../../bench/support/traces.ts'
import { type Cache, createCache, createWarmer, defineConfig, keyTemplate, load, type Warmer } from '../../src/index.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 120_000 }
const REQUESTS = 1000
/** Replayed before the restart. */
const PAST = 10_000

const template = keyTemplate('page:{id}')
/** Pages by id; how often they were asked for stands in the trace. */
const config = (redis: string) =>
  defineConfig({
    redis,
    maxOriginRps: 1_000_000,
    tasks: {
      pages: load({
        key: 'page:{id}',
        ttl: '1h',
        batchSize: 500,
        load: (keys) => new Map(keys.map((key) => [key, { key, text: 'x'.repeat(50) }])),
      }),
    },
    snapshot: { to: 'redis:replay' },
  })

describe('a saved snapshot after FLUSHALL', () => {
  let server: RedisServer
  let redis: Redis
  let folder: string
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
    folder = mkdtempSync(join(tmpdir(), 'prewarm-test-snapshot-'))
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }, TIMEOUT)

  /** Share of `ids` that a cache of its own, whose memory is empty, serves without the origin. */
  const hitRate = async (warmer: Warmer, ids: readonly string[]): Promise<number> => {
    await using cache = await createCache({ warmer, memory: false })
    return (await replay(cache, ids)) / ids.length
  }
  const replay = async (cache: Cache, ids: readonly string[]): Promise<number> => {
    let hits = 0
    for (const id of ids) {
      const { tier, value } = await cache.read<{ key: string }>(template.format({ id }))
      assertEquals(value?.key, template.format({ id }))
      if (tier !== 'origin') hits++
    }
    return hits
  }

  // Those whose names the table has; where the folder is not there, two made up ones.
  for (const { name, keys } of traces()) {
    if (!/^(nasa_http_1d|shop_web07|wikipedia_edits_30d|zipf_.*)$/.test(name)) continue
    it(`reaches 90 % of the former hit rate within 1,000 requests of ${name}`, TIMEOUT, async () => {
      await redis.flushall()
      const file = join(folder, `${name}.ndjson.gz`)
      const past = keys.slice(0, PAST)
      const [before, after] = [keys.slice(PAST, PAST + REQUESTS), keys.slice(PAST + REQUESTS, PAST + 2 * REQUESTS)]
      // What the requests would have found without the restart, and what those before them did.
      const former: number[] = []
      {
        await using warmer = await createWarmer({ env: {}, config: config(server.url) })
        await hitRate(warmer, past)
        former.push(await hitRate(warmer, before))
        const { saved, keys: hot } = await warmer.snapshots.save({ to: file })
        assert(saved && hot > 100, `${hot} hot keys`)
        former.push(await hitRate(warmer, after))
      }
      const cold = async (withSnapshot: boolean): Promise<number> => {
        await redis.flushall()
        await using warmer = await createWarmer({ env: {}, config: config(server.url) })
        if (withSnapshot) {
          const end = await warmer.snapshots.load({ from: file })
          assertEquals([end.ended, end.failed, end.left, end.loaded], ['all', 0, 0, end.keys])
        }
        return hitRate(warmer, after)
      }
      const [without, withSnapshot] = [await cold(false), await cold(true)]
      const warm = Math.max(...former)
      assert(without < 0.9 * warm, `a cold cache has ${without} of ${warm} by itself: this trace tells nothing`)
      assert(withSnapshot >= 0.9 * warm, `${withSnapshot} of ${warm}`)
    })
  }
})
