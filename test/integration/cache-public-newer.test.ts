import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import type { Cache } from '../../src/index.ts'
import { cacheDesk, type HeldLoads, heldLoads } from '../support/public-cache.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const OPTIONS = { refreshAhead: 0, loadTimeout: '30s', defaultTtl: '1h' } as const

describe('createCache: nothing older over what is newer', () => {
  let server: RedisServer
  let redis: Redis
  let held: HeldLoads<string>
  const desk = cacheDesk(() => server.url)
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(() => {
    held = heldLoads()
  })
  afterEach(async () => {
    await desk.closeAll()
    await redis.flushall()
    await redis.config('SET', 'notify-keyspace-events', '')
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  /** What a new reader finds, with nothing to load it with. */
  const atRest = async (key = 'k') => (await desk.open({ refreshAhead: 0 })).get(key)
  /** What all find after `change` while a load of `cold` (nothing there) or of `present` (a refresh) is held. */
  const duringLoad = async (kind: 'cold' | 'present', change: (another: Cache) => Promise<unknown>, options = {}) => {
    const [cache, another] = [await desk.open({ ...OPTIONS, ...options }), await desk.open({ ...OPTIONS, ...options })]
    held = heldLoads()
    if (kind === 'present') await cache.set('k', 'older')
    const loading = cache.get('k', { ...held, fresh: kind === 'present' })
    await held.begun(1)
    await change(another)
    held.answer('loaded')
    assertEquals(await loading, 'loaded')
    const rest = await atRest()
    // Whoever loaded it does not serve it either.
    await until(async () => (await cache.get('k')) === rest)
    return rest
  }

  for (const kind of ['cold', 'present'] as const) {
    it(`${kind}: what another cache deletes, sets or invalidates while a load is held`, TIMEOUT, async () => {
      assertEquals(await duringLoad(kind, (another) => another.delete('k')), undefined)
      await redis.flushall()
      assertEquals(await duringLoad(kind, (another) => another.set('k', 'set')), 'set')
      await redis.flushall()
      assertEquals(await duringLoad(kind, (another) => another.setMany([['k', 'many']])), 'many')
    })
  }

  it('clear during a load: what is there then, and what is only being loaded', TIMEOUT, async () => {
    assertEquals(await duringLoad('present', (another) => another.clear('k')), undefined)
    await redis.flushall()
    assertEquals(await duringLoad('cold', (another) => another.clear('k')), undefined)
  })

  it('a tag invalidated during a load: its value is not served', TIMEOUT, async () => {
    const [cache, another] = [await desk.open(OPTIONS), await desk.open(OPTIONS)]
    const loading = cache.get('k', { ...held, tags: ['t'] })
    await held.begun(1)
    await another.invalidateTags('t')
    held.answer('loaded')
    assertEquals(await loading, 'loaded')
    assertEquals([await atRest(), await cache.get('k')], [undefined, undefined])
  })

  it('warm() is refused by a delete, and by a set', TIMEOUT, async () => {
    const [cache, another] = [await desk.open(OPTIONS), await desk.open(OPTIONS)]
    for (const change of [() => another.delete('k'), () => another.set('k', 'set')]) {
      const warming = cache.warm('k', held)
      await held.begun(held.count + 1)
      await change()
      held.answer('warmed')
      assertEquals(await warming, 'skipped_newer')
    }
    assertEquals(await atRest(), 'set')
    assertEquals(await cache.warm('other', { load: () => 'warmed' }), 'written')
    assertEquals(await cache.warm('none', { load: () => null }), 'no_value')
  })

  it('Redis emptied during a load: what was loaded before is not brought back', TIMEOUT, async () => {
    const cache = await desk.open(OPTIONS)
    const loading = cache.get('k', held)
    await held.begun(1)
    await redis.flushall()
    held.answer('loaded')
    await loading
    assertEquals(await atRest(), undefined)
  })

  describe('and changes by other programs', () => {
    const EVENTS = { keyspaceEvents: true }
    const withEvents = () => redis.config('SET', 'notify-keyspace-events', 'Eg')

    it('DEL of what is there, with keyspace events: refused, or deleted when it is heard', TIMEOUT, async () => {
      await withEvents()
      const [cache] = [await desk.open({ ...OPTIONS, ...EVENTS })]
      for (let round = 0; round < 20; round++) {
        const key = `k:${round}`
        await cache.set(key, 'older')
        const loading = cache.get(key, { ...held, fresh: true })
        await held.begun(round + 1)
        await redis.del(key)
        // At once: the write and the event are under way at the same time.
        held.answer('loaded')
        await loading
        await until(async () => (await redis.exists(key)) === 0)
      }
      await until(async () => (await redis.zscore('prewarm:changes', 'k:19')) !== null)
      for (let round = 0; round < 20; round++) assertEquals(await atRest(`k:${round}`), undefined)
    })

    it('a value that the application gives after the DEL stays, though that is heard of later', TIMEOUT, async () => {
      await withEvents()
      const cache = await desk.open({ ...OPTIONS, ...EVENTS })
      for (let round = 0; round < 20; round++) {
        const key = `k:${round}`
        await cache.set(key, 'older')
        await redis.del(key)
        await cache.set(key, 'given')
      }
      // Events come in their order: with this one all have come.
      await cache.set('last', 1)
      const before = await redis.zscore('prewarm:changes', 'last')
      await redis.del('last')
      await until(async () => (await redis.zscore('prewarm:changes', 'last')) !== before)
      for (let round = 0; round < 20; round++) assertEquals(await atRest(`k:${round}`), 'given')
    })

    it('UNLINK, and a transaction that deletes, are heard like DEL', TIMEOUT, async () => {
      await withEvents()
      for (const change of [() => redis.unlink('k'), () => redis.multi().del('k').exec()]) {
        const rest = duringLoad('present', async () => {
          const before = await redis.zscore('prewarm:changes', 'k')
          await change()
          await until(async () => (await redis.zscore('prewarm:changes', 'k')) !== before)
        }, EVENTS) // biome-ignore format: one call
        assertEquals(await rest, undefined)
        await redis.flushall()
      }
    })

    it('not covered: DEL of what is there, without keyspace events', TIMEOUT, async () => {
      assertEquals(await duringLoad('present', () => redis.del('k')), 'loaded')
    })

    it('not covered: DEL of what is not there, which Redis tells nobody of', TIMEOUT, async () => {
      await withEvents()
      assertEquals(await duringLoad('cold', () => redis.del('k'), EVENTS), 'loaded')
      // What covers it: delete of the cache.
      await redis.flushall()
      assertEquals(await duringLoad('cold', (another) => another.delete('k'), EVENTS), undefined)
    })

    it('SET during the load of what is not there stays', TIMEOUT, async () => {
      assertEquals(await duringLoad('cold', () => redis.set('k', '"set"')), 'set')
    })

    it('not covered: SET during a load over what is there', TIMEOUT, async () => {
      await withEvents()
      assertEquals(await duringLoad('present', () => redis.set('k', '"set"'), EVENTS), 'loaded')
    })
  })
})
