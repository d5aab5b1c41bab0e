import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { load } from '../../src/index.ts'
import { heldLoads, listening, onOwnRedis } from '../support/public-cache.ts'
import type { RedisServer } from '../support/servers.ts'
import { runJob, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `k:${at}`)

describe('createCache: memory, then Redis, then the origin', () => {
  let server: RedisServer
  let redis: Redis
  const desk = onOwnRedis((on) => {
    server = on.server
    redis = on.redis
  })

  it('a value rises into memory; what readers get is frozen, and the same from every layer', TIMEOUT, async () => {
    const [one, another] = [await desk.open(), await desk.open()]
    const given = { at: new Date(0), list: [1, { deep: true }], none: undefined }
    const value = { at: '1970-01-01T00:00:00.000Z', list: [1, { deep: true }] }
    const told = []
    for (const cache of [one, another, another]) {
      const { ttlMs, ...result } = await cache.read<Record<string, unknown>>('k', { load: () => given, ttl: '1m' })
      const list = result.value?.list as unknown[]
      assert(Object.isFrozen(result.value) && Object.isFrozen(list[1]))
      assert(ttlMs > 50_000 && ttlMs <= 60_000)
      told.push(result)
    }
    assertEquals(told, [
      { value, tier: 'origin', status: 'miss', filledBy: 'read' },
      { value, tier: 'redis', status: 'hit', filledBy: 'read' },
      { value, tier: 'memory', status: 'hit', filledBy: 'read' },
    ])
    assertEquals(JSON.parse((await redis.get('k')) ?? ''), value)
  })

  it('set, setMany, has, delete and wrap', TIMEOUT, async () => {
    const cache = await desk.open()
    assertEquals(await cache.set('a', { n: 1 }), 'written')
    await cache.setMany(new Map([['b', 2], ['c', 0]])) // biome-ignore format: pairs
    assertEquals(await cache.getMany(['a', 'b', 'c', 'd']), new Map<string, unknown>([['a', { n: 1 }], ['b', 2], ['c', 0]])) // biome-ignore format: pairs
    assertEquals([await cache.has('c'), await cache.has('d')], [true, false])
    assertEquals((await cache.read('a')).filledBy, 'unknown')
    assertEquals(await cache.delete('a', 'c', 'd', 'a'), 2)
    assertEquals([await cache.get('a'), await cache.has('c'), await redis.exists('a', 'c')], [undefined, false, 0])
    assertEquals(await cache.set('v', 'new', { version: 2 }), 'written')
    assertEquals(await cache.set('v', 'old', { version: 1 }), 'skipped_newer')
    assertEquals(await cache.get('v'), 'new')

    let calls = 0
    const square = cache.wrap(async (n: number) => {
      calls++
      return n * n
    }, { key: (n) => `square:${n}` }) // biome-ignore format: one call
    assertEquals([await square(3), await square(3), await square(4)], [9, 9, 16])
    assertEquals(calls, 2)
  })

  it('getMany gives one call of the loader only what is missing; it may answer in three forms', TIMEOUT, async () => {
    const cache = await desk.open()
    await cache.setMany([['k:0', 'set'], ['k:1', 'set']]) // biome-ignore format: pairs
    const asked: string[][] = []
    const forms = [
      (keys: string[]) => new Map(keys.map((key) => [key, `map ${key}`])),
      (keys: string[]) => Object.fromEntries(keys.map((key) => [key, `object ${key}`])),
      (keys: string[]) => keys.map((key) => (key === 'k:7' ? null : `list ${key}`)),
    ]
    let upTo = 2
    for (const form of forms) {
      upTo += 2
      await cache.getMany(numbered(upTo), (keys) => {
        asked.push(keys)
        return form(keys)
      })
    }
    assertEquals(asked, [['k:2', 'k:3'], ['k:4', 'k:5'], ['k:6', 'k:7']]) // biome-ignore format: pairs
    const all = await cache.getMany(numbered(8))
    assertEquals([...all.values()].join(), 'set,set,map k:2,map k:3,object k:4,object k:5,list k:6')
  })

  it('memory holds maxItems, or maxBytes, of the last ones read; false: none', TIMEOUT, async () => {
    await redis.mset(...numbered(3).flatMap((key) => [key, JSON.stringify('x'.repeat(1000))]))
    const tiersOf = async (memory: { maxItems?: number; maxBytes?: number } | false, keys: string[]) => {
      const cache = await desk.open({ memory })
      const tiers = []
      for (const key of keys) tiers.push((await cache.read(key)).tier)
      return tiers
    }
    const keys = ['k:0', 'k:1', 'k:0', 'k:2', 'k:0', 'k:1']
    const two = ['redis', 'redis', 'memory', 'redis', 'memory', 'redis']
    assertEquals(await tiersOf({ maxItems: 2 }, keys), two)
    assertEquals(await tiersOf({ maxBytes: 5000 }, keys), two)
    assertEquals(await tiersOf({ maxBytes: 10_000 }, keys), ['redis', 'redis', 'memory', 'redis', 'memory', 'memory'])
    assertEquals(await tiersOf(false, ['k:0', 'k:0']), ['redis', 'redis'])
  })

  it('memory holds 1000 by default, and each for no longer than its own ttl', TIMEOUT, async () => {
    const keys = numbered(1001)
    await redis.mset(...keys.flatMap((key) => [key, '1']))
    const { told, observer } = listening()
    const cache = await desk.open({ observers: [observer], refreshAhead: 0 })
    await cache.getMany(keys)
    await cache.getMany(keys.slice(1))
    assertEquals(told.reads.splice(0).filter(({ tier }) => tier === 'redis').length, 1001)
    await cache.get('k:0')
    assertEquals(told.reads.map(({ tier }) => tier), ['redis']) // biome-ignore format: short

    const brief = await desk.open({ memory: { ttl: 20 } })
    await brief.get('k:0')
    await until(async () => (await brief.read('k:0')).tier === 'redis')
  })

  it('a value ends with its ttl and grace, in memory and in Redis', TIMEOUT, async () => {
    const cache = await desk.open({ refreshAhead: 0 })
    await cache.set('k', 1, { ttl: 300, grace: 0 })
    assertEquals((await cache.read('k')).tier, 'memory')
    await until(async () => (await cache.read('k')).status === 'miss')
    assertEquals([await cache.has('k'), await redis.exists('k')], [false, 0])
    // What no program has ever given an end is served for good.
    await redis.set('for ever', '1')
    assertEquals((await cache.read('for ever')).ttlMs, Number.POSITIVE_INFINITY)
  })

  it('that the origin has none is remembered by all, for negativeTtl; a set ends that', TIMEOUT, async () => {
    const [one, another] = [await desk.open(), await desk.open()]
    let loads = 0
    const none = () => {
      loads++
      return null
    }
    const options = { load: none, negativeTtl: 400 }
    assertEquals(await one.get('k', options), undefined)
    assertEquals([(await one.read('k', options)).tier, (await another.read('k', options)).tier], ['memory', 'redis'])
    assertEquals([loads, await one.has('k'), await redis.exists('k')], [1, false, 0])
    await until(async () => (await another.read('k', options)).status === 'miss')
    assertEquals(loads, 2)
    await one.set('k', 'there')
    await until(async () => (await another.get<string>('k', options)) === 'there')

    for (let round = 0; round < 3; round++) await one.get('never', { load: none, negativeTtl: 0 })
    assertEquals(loads, 5)
  })

  it('what is written together expires apart: TTL jitter of fills, sets and warm-ups', TIMEOUT, async () => {
    const cache = await desk.open({ defaultTtl: '1h' })
    const ids = Array.from({ length: 100 }, (_, at) => at)
    const tasks = { w: load({ key: 'w:{n}', ttl: '1h', select: () => ids, load: (keys) => keys.map(() => 1) }) }
    await runJob({ config: { tasks }, redisUrl: server.url, databaseUrl: 'postgres://nowhere' })
    await cache.getMany(ids.map((id) => `f:${id}`), (keys) => keys.map(() => 1)) // biome-ignore format: one call
    await cache.setMany(ids.map((id) => [`s:${id}`, 1]))
    const ends: string[] = []
    for (const prefix of ['w', 'f', 's']) {
      const ttls = await Promise.all(ids.map((id) => redis.pttl(`${prefix}:${id}`)))
      assert(Math.min(...ttls) > 0.9 * 3_600_000 - 60_000 && Math.max(...ttls) <= 3_630_000, `${prefix} ${ttls}`)
      const seconds = Map.groupBy(ttls, (ttl) => Math.floor(ttl / 1000))
      assert(Math.max(...[...seconds.values()].map((same) => same.length)) <= 10, `${prefix} expires together`)
      assert(seconds.size >= 50)
      ends.push(...ttls.map(String))
    }
    // The same key has the same end every time.
    const exact = await desk.open({ ttlJitter: 0, grace: 0 })
    await exact.set('f:1', 1, { ttl: '1h' })
    assert((await redis.pttl('f:1')) > 3_590_000)
  })

  it('of a thousand readers of a cold key one loads; of many keys maxLoads load at once', TIMEOUT, async () => {
    const cache = await desk.open({ maxLoads: 3, loadTimeout: '30s' })
    const one = heldLoads<string>()
    const readers = Array.from({ length: 1000 }, () => cache.get('cold', { load: one.load }))
    await one.begun(1)
    one.answer('v')
    assertEquals([new Set(await Promise.all(readers)), one.count], [new Set(['v']), 1])

    const many = heldLoads<string>()
    const all = Promise.all(numbered(20).map((key) => cache.get(key, { load: many.load })))
    for (let ended = 0; ended < 20; ended += 3) {
      await many.begun(Math.min(20, ended + 3))
      many.answer('v')
    }
    assertEquals([(await all).length, many.count, many.mostAtOnce], [20, 20, 3])
  })
})
