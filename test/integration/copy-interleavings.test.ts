import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { copyBetween } from '../../src/compose-copy.ts'
import { type CopyOptions, copyKeys } from '../../src/copy/copy.ts'
import { RedisEnd } from '../../src/copy/redis.ts'
import type { CopyReport } from '../../src/copy/report.ts'
import type { RawKey } from '../../src/copy/types.ts'
import { type Cache, createCache } from '../../src/index.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { clock } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = 1500

describe('copying while a cache works at the target', () => {
  let servers: [RedisServer, RedisServer]
  let from: Redis
  let to: Redis
  const options: CopyOptions = {
    ...{ match: '*', limit: 100_000, rate: 1_000_000, timeoutMs: 30_000, dryRun: false },
    signal: new AbortController().signal,
  }
  before(async () => {
    servers = await Promise.all([startRedisServer(), startRedisServer()])
    from = connect(servers[0].url)
    to = connect(servers[1].url)
  }, TIMEOUT)
  beforeEach(async () => {
    await Promise.all([from.flushall(), to.flushall()])
    await from.mset(Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [`k:${at}`, '"old"'])))
  })
  after(async () => {
    from.disconnect()
    to.disconnect()
    await Promise.all(servers.map((server) => server.stop()))
  }, TIMEOUT)

  /** Changes keys again and again, some before the copy begins, until it is over; none of them may be old again. */
  async function changing(cache: Cache, step: number, changed: Set<string>, isOver: () => boolean): Promise<void> {
    for (let at = 0; !isOver(); at += step) {
      const key = `k:${at % KEYS}`
      const way = at % 5
      if (way < 2) {
        changed.add(key)
        await cache.delete(key)
      } else if (way === 2) {
        changed.add(key)
        await cache.set(key, 'new', { ttl: 20 })
      } else await cache.get(key, { load: () => (changed.has(key) ? 'new' : 'old') })
    }
  }

  it('brings back nothing that was changed there, before or meanwhile', TIMEOUT, async () => {
    for (const [one, other] of [
      [7, 11],
      [13, 29],
    ] as const) {
      await to.flushall()
      const caches = await Promise.all(
        [{}, { memory: false as const }].map((more) => createCache({ redis: servers[1].url, env: {}, ...more })),
      )
      let copied: CopyReport | undefined
      const changed = new Set<string>()
      const isOver = () => copied !== undefined
      const working = [one, other].map((step, at) => changing(caches[at] as Cache, step, changed, isOver))
      while ((await to.zcard('prewarm:changes')) < 20) await new Promise((go) => setTimeout(go, 1))
      try {
        copied = await copyBetween(
          { ...options, rate: 10_000, from: servers[0].url, to: servers[1].url },
          currentRuntime(),
        )
        await Promise.all(working)
        assert(copied.copied > 0 && copied.newer > 0, JSON.stringify(copied))
        for (const key of changed) assert((await to.get(key)) !== '"old"', key)
      } finally {
        await Promise.all(caches.map((cache) => cache.close()))
      }
    }
  })

  it('copies nothing more once so much was changed there that some of it is forgotten', TIMEOUT, async () => {
    await using cache = await createCache({ redis: servers[1].url, env: {}, memory: false })
    await cache.delete('other')
    class Late extends RedisEnd {
      #asked = 0
      override async bytesOf(keys: readonly RawKey[]): Promise<(number | null)[]> {
        // As `mark` leaves it behind.
        if (++this.#asked === 2) await to.zadd('prewarm:changes', Date.now() * 1000 + 5e6, '\u0001trimmed')
        return super.bytesOf(keys)
      }
    }
    const [source, target] = [new Late({ url: servers[0].url, clock }), new RedisEnd({ url: servers[1].url, clock })]
    const report = await copyKeys({ source, target, clock }, options)
    source.close()
    target.close()
    assertEquals([report.ended, report.copied, report.newer], ['all', 500, KEYS - 500])
  })
})
