import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { endIn, heldLoads, onOwnRedis } from '../support/public-cache.ts'
import { until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('createCache: one load for all, before and after the end of a value', () => {
  let redis: Redis
  const desk = onOwnRedis((on) => {
    redis = on.redis
  })

  const instances = (count: number, options = {}) =>
    Promise.all(Array.from({ length: count }, () => desk.open({ refreshAhead: 0, ...options })))

  it('of five instances one loads; the others get its value when it lands', TIMEOUT, async () => {
    const held = heldLoads<string>()
    const options = { loadTimeout: '30s', waitTime: '1m' }
    const all = (await instances(5, options)).flatMap((cache) => [1, 2, 3].map(() => cache.read('k', held)))
    await held.begun(1)
    assertEquals(await redis.exists('prewarm:lease:k'), 1)
    held.answer('v')
    const results = await Promise.all(all)
    assertEquals([new Set(results.map(({ value }) => value)), held.count], [new Set(['v']), 1])
    assertEquals(results.filter(({ tier }) => tier === 'redis').length, 12)
    assertEquals(await redis.exists('prewarm:lease:k'), 0)
  })

  it('a load that fails lets the next instance load at once', TIMEOUT, async () => {
    const [one, another] = await instances(2, { waitTime: '1m' })
    const [first, second] = [heldLoads<string>(), heldLoads<string>()]
    const failing = assertRejects(() => one?.get('k', first) ?? Promise.resolve(), Error, 'no')
    await first.begun(1)
    const reading = another?.get('k', second)
    first.fail(new Error('no'))
    await failing
    await second.begun(1)
    second.answer('v')
    assertEquals(await reading, 'v')
  })

  it('who waits falls through at waitTime, and the first of the two values to land stays', TIMEOUT, async () => {
    const [slow, quick] = await instances(2, { waitTime: 100, loadTimeout: '30s' })
    const held = heldLoads<string>()
    const reading = slow?.get('k', held)
    await held.begun(1)
    assertEquals(await quick?.get('k', { load: () => 'quick' }), 'quick')
    held.answer('slow')
    assertEquals(await reading, 'slow')
    const [third] = await instances(1)
    const { tier, value } = (await third?.read('k', { load: () => 'third' })) ?? {}
    assertEquals(tier, 'redis')
    assert(value === 'quick' || value === 'slow')
  })

  it('in its grace a value is served to all, while one of all instances refreshes it', TIMEOUT, async () => {
    const all = await instances(3, { grace: '10m', defaultTtl: '1h', loadTimeout: '30s' })
    await all[0]?.get('k', { load: () => 'old' })
    await endIn(redis, 'k', 60_000)
    const held = heldLoads<string>()
    for (const cache of all) await until(async () => (await cache.read('k', held)).status === 'stale')
    await held.begun(1)
    for (let round = 0; round < 50; round++) {
      for (const cache of all) {
        const { value, status, ttlMs } = await cache.read('k', held)
        assertEquals([value, status, ttlMs < 0], ['old', 'stale', true])
      }
    }
    assertEquals(held.count, 1)
    held.answer('new')
    for (const cache of all) await until(async () => (await cache.get('k', held)) === 'new')
    assertEquals(held.count, 1)
    assert((await redis.pttl('k')) > 3_000_000)
  })

  it('what the warmer or a keyspace wrote has its grace within its ttl', TIMEOUT, async () => {
    const [cache] = await instances(1, { grace: '10m' })
    const { ttlMs } = (await cache?.read('k', { load: () => 1, ttl: '10m' })) ?? { ttlMs: 0 }
    assert(ttlMs > 9 * 60_000 - 1000 && ttlMs <= 600_000)
    const left = await redis.pttl('k')
    assert(left > ttlMs + 290_000 && left <= ttlMs + 300_000, `grace is ${left - ttlMs} ms, at most half of the ttl`)
  })

  it(
    'what the application sets, or another program, is a hit to its end, and not served after it',
    TIMEOUT,
    async () => {
      const [writer, reader] = await instances(2, { grace: '10m', ttlJitter: 0 })
      await writer?.set('set', 1, { ttl: '20s' })
      await redis.set('other', '1', 'EX', 20)
      for (const key of ['set', 'other']) {
        const { status, ttlMs } = (await reader?.read(key)) ?? {}
        assertEquals(status, 'hit')
        assert((ttlMs ?? 0) > 10_000 && (ttlMs ?? 0) <= 20_000, `${key} is fresh for another ${ttlMs} ms`)
        assertEquals((await reader?.read(key))?.tier, 'memory')
      }
      await writer?.set('brief', 1, { ttl: 1200 })
      await until(async () => (await reader?.read('brief'))?.status === 'miss')
      assertEquals([await reader?.has('brief'), await redis.exists('brief')], [false, 0])
    },
  )

  it('a value is refreshed ahead of its end, by one, while all reads are hits', TIMEOUT, async () => {
    const [one, another] = await instances(2, { refreshAhead: 100, ttlJitter: 0 })
    let loads = 0
    const load = async () => {
      loads++
      await new Promise((resolve) => setTimeout(resolve, 20))
      return loads
    }
    // 20 ms * 100 * -ln(chance) >= 10 s for one read in 150.
    await one?.get('k', { load, ttl: '10s', grace: 0 })
    const before = (await one?.read('k', { load, ttl: '10s', grace: 0 }))?.filledBy
    assertEquals(before, 'read')
    let reads = 0
    while (loads < 3) {
      for (const cache of [one, another]) {
        const { status, ttlMs } = (await cache?.read('k', { load, ttl: '10s', grace: 0 })) ?? {}
        assert(status === 'hit' && (ttlMs ?? 0) > 0)
      }
      if (++reads % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  })

  it('refreshAhead 0: not before its end', TIMEOUT, async () => {
    const [cache] = await instances(1)
    let loads = 0
    const load = () => ++loads
    for (let reads = 0; reads < 2000; reads++) await cache?.get('k', { load, ttl: '1m' })
    assertEquals(loads, 1)
  })

  it("a caller's signal ends its own wait only", TIMEOUT, async () => {
    const [cache] = await instances(1, { loadTimeout: '30s' })
    const held = heldLoads<string>()
    const leaving = new AbortController()
    const left = assertRejects(
      () => cache?.get('k', { ...held, signal: leaving.signal }) ?? Promise.resolve(),
      Error,
      'enough',
    )
    await held.begun(1)
    const staying = cache?.get('k', held)
    leaving.abort(new Error('enough'))
    await left
    held.answer('v')
    assertEquals([await staying, held.count], ['v', 1])
  })

  it('close ends every wait with STOPPED, twice, and what is read after it is refused', TIMEOUT, async () => {
    const [cache] = await instances(1, { loadTimeout: '30s' })
    const held = heldLoads<string>()
    const stopped = async (read: Promise<unknown> | undefined) => {
      const error = await assertRejects(() => read ?? Promise.resolve())
      assertEquals((error as { code?: string }).code, 'STOPPED')
    }
    const waiting = stopped(cache?.get('k', held))
    await held.begun(1)
    await Promise.all([cache?.close(), cache?.close()])
    await waiting
    await stopped(cache?.get('k', held))
  })
})
