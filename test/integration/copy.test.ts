import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import { copyBetween } from '../../src/compose-copy.ts'
import { type CopyOptions, copyKeys } from '../../src/copy/copy.ts'
import { RedisEnd } from '../../src/copy/redis.ts'
import type { Dumped, RawKey } from '../../src/copy/types.ts'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import { type Cache, createCache, createWarmer, defineConfig, load } from '../../src/index.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { clock } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const HOUR_MS = 3_600_000

describe('copying between two servers', () => {
  let servers: [RedisServer, RedisServer]
  let from: Redis
  let to: Redis
  before(async () => {
    const lfu = ['--maxmemory-policy', 'allkeys-lfu', '--maxmemory', '200mb', '--lfu-decay-time', '0']
    servers = await Promise.all([startRedisServer({ args: lfu }), startRedisServer({ args: lfu })])
    from = connect(servers[0].url)
    to = connect(servers[1].url)
  }, TIMEOUT)
  beforeEach(async () => {
    await Promise.all([from.flushall(), to.flushall()])
  })
  after(async () => {
    from.disconnect()
    to.disconnect()
    await Promise.all(servers.map((server) => server.stop()))
  }, TIMEOUT)

  const options: CopyOptions = {
    ...{ match: '*', limit: 100_000, rate: 1_000_000, timeoutMs: 30_000, dryRun: false },
    signal: new AbortController().signal,
  }
  /** Copies; `between` runs after the values were read, and before they are written. */
  const copy = async (
    more: Partial<CopyOptions> = {},
    between: () => Promise<unknown> = async () => {},
    urls: readonly [string, string] = [servers[0].url, servers[1].url],
  ) => {
    class Slow extends RedisEnd {
      override async dump(keys: readonly RawKey[], by: 'freq' | 'idle'): Promise<(Dumped | null)[]> {
        const dumped = await super.dump(keys, by)
        if (keys.some((key) => !key.startsWith('prewarm:'))) await between()
        return dumped
      }
    }
    const [source, target] = [new Slow({ url: urls[0], clock }), new RedisEnd({ url: urls[1], clock })]
    try {
      return await copyKeys({ source, target, clock }, { ...options, ...more })
    } finally {
      source.close()
      target.close()
    }
  }
  const expiryOf = async (redis: Redis, key: string) => Number(await redis.call('PEXPIRETIME', key))

  it('every type arrives byte for byte, with its expiry to the ms, and how hot it is', TIMEOUT, async () => {
    const binary = Buffer.from([0, 255, 128, 13, 10, 7])
    await from.set('text', 'ünïcode')
    await from.set('bytes', binary)
    await from.set(Buffer.concat([Buffer.from('key:'), binary]), 'under a key that is no text')
    await from.set('number', 42)
    await from.set('long', 'x'.repeat(3_000_000))
    await from.hset('hash', { a: '1', b: 'x'.repeat(500) })
    await from.rpush('list', ...Array.from({ length: 1000 }, (_, at) => `item ${at}`))
    await from.sadd('set', 1, 2, 3)
    await from.sadd('texts', 'a', 'b')
    await from.zadd('sorted', 1.5, 'a', -2, 'b')
    await from.call('XADD', 'stream', '1-1', 'field', 'value')
    await from.call('PFADD', 'counted', 'a', 'b')
    await from.call('SETBIT', 'bits', 77, 1)
    await from.call('GEOADD', 'places', 13.4, 52.5, 'Berlin')
    const keys = (await from.keysBuffer('*')) as unknown as Buffer[]
    for (const [at, key] of keys.entries()) if (at % 2 === 0) await from.pexpire(key, HOUR_MS + at)
    for (let n = 0; n < 500; n++) await from.get('text')
    const before = new Map<string, [freq: unknown, expires: unknown]>()
    for (const key of keys) {
      const told = [await from.call('OBJECT', 'FREQ', key), await from.call('PEXPIRETIME', key)] as const
      before.set(key.toString('latin1'), [...told])
    }

    const report = await copy()
    assertEquals([report.ended, report.copied, report.failed, report.firstError], ['all', keys.length, 0, null])
    assertEquals(await to.dbsize(), keys.length)
    assert(report.hottest[0]?.key === 'text', JSON.stringify(report.hottest))
    for (const key of keys) {
      const [freq, expires] = before.get(key.toString('latin1')) ?? []
      assertEquals(await to.call('OBJECT', 'FREQ', key), freq, `FREQ of ${key}`)
      assertEquals(await to.call('PEXPIRETIME', key), expires, `expiry of ${key}`)
      assertEquals(await contentOf(to, key), await contentOf(from, key), `value of ${key}`)
    }
    assert(Number(await to.call('OBJECT', 'FREQ', 'text')) > 6)
    const commands = `${await from.info('commandstats')}${await to.info('commandstats')}`
    assert(!/cmdstat_keys:/.test(commands.replace(/cmdstat_keys:calls=1,/, '')), 'KEYS only by this test')
  })

  it('under LRU the time since the last use goes along', TIMEOUT, async () => {
    for (const redis of [from, to]) await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    try {
      await from.set('new', '1')
      await from.set('old', '1')
      await from.restore('old', 0, await from.dumpBuffer('old'), 'REPLACE', 'IDLETIME', 5000)
      const report = await copy()
      assertEquals([report.by, report.copied, report.hottest.map(({ key }) => key)], ['idle', 2, ['new', 'old']])
      const idle = Number(await to.object('IDLETIME', 'old'))
      assert(idle >= 5000 && idle < 5100, `${idle}`)
    } finally {
      for (const redis of [from, to]) await redis.config('SET', 'maxmemory-policy', 'allkeys-lfu')
    }
  })

  it('the hottest come first, only those that match, and nothing is replaced', TIMEOUT, async () => {
    for (let at = 0; at < 300; at++) {
      await from.restore(`film:${at}`, 0, await dumpOf(from, `${at}`), 'FREQ', at % 256)
    }
    await from.set('other:1', '1')
    await to.set('film:255', 'mine', 'EX', 100)
    const report = await copy({ match: 'film:*', limit: 10 })
    assertEquals([report.looked, report.chosen, report.copied, report.present], [300, 10, 9, 1])
    const expected = Array.from({ length: 10 }, (_, at) => `film:${255 - at}`)
    assertEquals((await to.keys('*')).sort(), expected.sort())
    assertEquals(await to.get('film:255'), 'mine')
    assertEquals(await copyCounts(copy({ match: 'film:*', limit: 10 })), { copied: 0, present: 10 })
  })

  describe('never brings an older value back', () => {
    let cache: Cache
    beforeEach(async () => {
      cache = await createCache({ redis: servers[1].url, env: {}, memory: false })
    })
    const ends = async (work: () => Promise<void>) => {
      try {
        await work()
      } finally {
        await cache.close()
      }
    }
    const old = async () => {
      await from.set('film:1', '"old"', 'EX', 1000)
      await from.set('film:2', '"other"', 'EX', 1000)
    }

    it('of a key that was deleted at the target meanwhile', TIMEOUT, () =>
      ends(async () => {
        await old()
        // There, so that it is known as changed; but not when the copy looks.
        const report = await copy({}, () => cache.delete('film:1'))
        assertEquals([report.copied, report.newer, await to.exists('film:1'), await to.exists('film:2')], [1, 1, 0, 1])
      }),
    )

    it('of a key that was set at the target meanwhile, and has expired since', TIMEOUT, () =>
      ends(async () => {
        await old()
        const report = await copy({}, async () => {
          await cache.set('film:1', 'new', { ttl: '1h' })
          await to.unlink('film:1')
        })
        assertEquals([report.copied, report.newer, await to.exists('film:1')], [1, 1, 0])
      }),
    )

    it('of a key that a reader is loading, has filled, or knows to be nowhere', TIMEOUT, () =>
      ends(async () => {
        await old()
        const { promise, resolve } = Promise.withResolvers<string>()
        const reading = cache.get('film:1', { load: () => promise })
        while ((await to.exists('prewarm:lease:film:1')) === 0) await new Promise((go) => setTimeout(go, 5))
        assertEquals(await copyCounts(copy({ match: 'film:1' })), { copied: 0, present: 0, newer: 1 })
        resolve('new')
        assertEquals([await reading, await cache.get('film:1')], ['new', 'new'])
        await to.unlink('film:1')
        const filled = await copy({ match: 'film:1' }, async () => {
          await cache.get('film:1', { load: () => 'newer' })
          await to.unlink('film:1')
        })
        assertEquals([filled.newer, await to.exists('film:1')], [1, 0])
        assertEquals(await cache.get('film:2', { load: () => null }), undefined)
        assertEquals((await copy({ match: 'film:2' })).newer, 1)
      }),
    )

    it('of a key that was deleted, or set, at the target before: then, or while others were copied', TIMEOUT, () =>
      ends(async () => {
        await old()
        for (let at = 0; at < 600; at++) await from.restore(`hot:${at}`, 0, await dumpOf(from, 'v'), 'FREQ', 255)
        await cache.delete('film:1')
        await cache.set('film:3', 'new', { ttl: '1h' })
        await to.unlink('film:3')
        await from.set('film:3', '"old"', 'EX', 1000)
        let bursts = 0
        // The films come last, in the second burst.
        const report = await copy({}, async () => void (++bursts === 1 && (await cache.delete('film:2'))))
        assertEquals([bursts, report.copied, report.newer], [2, 600, 3])
        assertEquals(await to.exists('film:1', 'film:2', 'film:3'), 0)
      }),
    )

    it('of a tag that was invalidated at the source after the tags were copied', TIMEOUT, () =>
      ends(async () => {
        await using source = await createCache({ redis: servers[0].url, env: {}, memory: false })
        await source.set('news:1', 'old', { tags: ['news'], ttl: '1h' })
        await source.set('news:2', 'good', { tags: ['fresh'], ttl: '1h' })
        let invalidated: Promise<void> | undefined
        class Late extends RedisEnd {
          override async bytesOf(keys: readonly RawKey[]): Promise<(number | null)[]> {
            invalidated ??= source.invalidateTags('news')
            await invalidated
            return super.bytesOf(keys)
          }
        }
        const [one, other] = [new Late({ url: servers[0].url, clock }), new RedisEnd({ url: servers[1].url, clock })]
        const report = await copyKeys({ source: one, target: other, clock }, options)
        one.close()
        other.close()
        assertEquals([report.tags, report.copied, report.gone], [2, 1, 1])
        assertEquals([await cache.get('news:1'), await cache.get('news:2')], [undefined, 'good'])
      }),
    )

    it('also where the target was emptied meanwhile', TIMEOUT, () =>
      ends(async () => {
        await old()
        await cache.delete('film:9')
        const report = await copy({}, async () => {
          await to.flushall()
          await cache.delete('film:1')
        })
        assertEquals([report.copied, report.newer], [0, 2])
      }),
    )
  })

  it('versions go along, and a newer one at the target stays', TIMEOUT, async () => {
    const values = (keys: readonly string[]) => new Map(keys.map((key) => [key, `v of ${key}`]))
    const config = (version: number) =>
      defineConfig({
        redis: servers[1].url,
        tasks: {
          films: load({ key: 'film:{id}', value: 'string', version: () => version, select: () => [1], load: values }),
        },
      })
    await from.set('film:1', 'copied', 'PX', HOUR_MS)
    await from.set('prewarm:version:film:1', '5', 'PX', HOUR_MS)
    await from.set('film:2', 'copied')
    await from.set('prewarm:version:film:2', '5')
    await from.set('film:3', 'copied')
    await to.set('prewarm:version:film:2', '6')
    await to.set('prewarm:version:film:3', '1')
    const report = await copy()
    assertEquals([report.copied, report.newer, await to.get('prewarm:version:film:1')], [1, 2, '5'])
    assertEquals(await expiryOf(to, 'prewarm:version:film:1'), await expiryOf(to, 'film:1'))
    for (const [version, text] of [
      [4, 'copied'],
      [6, 'v of film:1'],
    ] as const) {
      await using warmer = await createWarmer({ env: {}, config: config(version) })
      await warmer.submit({}).result
      assertEquals(await to.get('film:1'), text)
    }
  })

  it('prewarm’s own records stay where they are, but tagged values are served', TIMEOUT, async () => {
    await using source = await createCache({ redis: servers[0].url, env: {}, memory: false })
    await source.set('news:1', 'tagged', { tags: ['news'], ttl: '1h' })
    await source.delete('news:2')
    await from.set('cache:warmup:lock', 'somebody')
    const report = await copy()
    assertEquals([report.copied, report.tags], [1, 1])
    assertEquals((await to.keys('*')).sort(), ['news:1', 'prewarm:tag:news'])
    await using target = await createCache({ redis: servers[1].url, env: {}, memory: false })
    assertEquals(await target.get('news:1'), 'tagged')
    await target.invalidateTags('news')
    assertEquals((await copy()).tags, 0)
    assertEquals(await target.get('news:1'), undefined)
  })

  it('a target without room: it stops below 95 %, and evicts nothing', TIMEOUT, async () => {
    const small = await startRedisServer({ args: ['--maxmemory', '6mb', '--maxmemory-policy', 'allkeys-lru'] })
    const redis = connect(small.url)
    try {
      await redis.set('mine', 'x'.repeat(100_000))
      const pipeline = from.pipeline()
      for (let at = 0; at < 3000; at++) pipeline.set(`big:${at}`, 'x'.repeat(4000))
      await pipeline.exec()
      const report = await copy({}, undefined, [servers[0].url, small.url])
      assertEquals([report.ended, report.copied + report.leftOut, report.left], ['full', 3000, 0])
      assert(report.copied > 100, `${report.copied}`)
      const info = await redis.info()
      assert(Number(/used_memory:(\d+)/.exec(info)?.[1]) < 6 * 1024 * 1024)
      assertEquals([/evicted_keys:(\d+)/.exec(info)?.[1], await redis.exists('mine')], ['0', 1])
      // It is full all the same: another has used the room between the look and the write.
      await redis.config('SET', 'maxmemory-policy', 'noeviction')
      await redis.flushall()
      const oom = await copy({}, async () => void (await redis.config('SET', 'maxmemory', '1mb')), [
        servers[0].url,
        small.url,
      ])
      assertEquals([oom.ended, oom.copied, oom.leftOut, oom.failed], ['full', 0, 3000, 0])
    } finally {
      redis.disconnect()
      await small.stop()
    }
  })

  it('a target that dies on the way: it says so, and another copy goes on', TIMEOUT, async () => {
    const pipeline = from.pipeline()
    for (let at = 0; at < 2000; at++) pipeline.set(`k:${at}`, `value ${at}`)
    await pipeline.exec()
    const mortal = await startRedisServer()
    const redis = connect(mortal.url)
    let groups = 0
    const report = await copy({}, async () => void (++groups === 3 && (await mortal.stop())), [
      servers[0].url,
      mortal.url,
    ])
    redis.disconnect()
    assertEquals([report.ended, report.copied, report.unknown, report.left], ['failed', 1000, 500, 500])
    assertEquals(report.firstError?.code, 'STORE_UNREACHABLE')
    groups = 0
    const abort = new AbortController()
    const cut = await copy({ signal: abort.signal }, async () => void (++groups === 2 && abort.abort()))
    assertEquals([cut.ended, cut.copied], ['interrupted', 1000])
    const rest = await copy()
    assertEquals([rest.ended, rest.present, rest.copied, await to.dbsize()], ['all', 1000, 1000, 2000])
  })

  it('a target that does not answer: the deadline ends it', TIMEOUT, async () => {
    await from.set('k', 'v')
    const stalled = await startRedisServer()
    try {
      const [source, target] = [servers[0].url, stalled.url]
      const onProgress = () => stalled.pause()
      const report = await copyBetween(
        { ...options, from: source, to: target, timeoutMs: 500, onProgress },
        currentRuntime(),
      )
      assertEquals([report.ended, report.chosen, report.left], ['deadline', 1, 1])
    } finally {
      await stalled.stop()
    }
  })

  it('a source whose format the target does not know', TIMEOUT, async () => {
    const embedded = await startEmbeddedRedis()
    const redis = connect(embedded.url)
    try {
      await redis.set('k', 'v')
      // Valkey 9 writes version 80 of the format; no Redis knows that.
      const report = await copy({}, undefined, [embedded.url, servers[1].url])
      assertEquals([report.ended, report.failed, await to.dbsize()], ['failed', 1, 0])
      assertStringIncludes(report.firstError?.message ?? '', 'copy to a server at least as new')
    } finally {
      redis.disconnect()
      await embedded.stop()
    }
  })
})

/** Its bytes. What has no order is sorted: each server has its own. */
async function contentOf(redis: Redis, key: Buffer): Promise<string[]> {
  const type = await redis.type(key)
  const texts = (all: Buffer[]) => all.map((one) => one.toString('latin1'))
  if (type === 'set') return texts(await redis.smembersBuffer(key)).sort()
  if (type !== 'hash') return texts([await redis.dumpBuffer(key)])
  const fields = await redis.hgetallBuffer(key)
  return Object.entries(fields)
    .map(([field, value]) => `${field}=${value.toString('latin1')}`)
    .sort()
}

async function dumpOf(redis: Redis, value: string): Promise<Buffer> {
  await redis.set('made', value)
  const payload = await redis.dumpBuffer('made')
  await redis.del('made')
  return payload
}

async function copyCounts(copying: Promise<{ copied: number; present: number; newer: number }>) {
  const { copied, present, newer } = await copying
  return { copied, present, ...(newer === 0 ? {} : { newer }) }
}
