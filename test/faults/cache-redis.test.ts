import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { type Cache, PrewarmError } from '../../src/index.ts'
import { cacheDesk, endIn, heldLoads, listening, onOwnRedis } from '../support/public-cache.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
/** Short enough to wait for, and long enough that a Redis which answers is not taken for silent on a busy machine. */
const BOUND_MS = 1000
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `n:${at}`)
const fromOrigin = (key: string) => `origin ${key}`

describe('createCache while Redis fails', () => {
  let server: RedisServer
  let redis: Redis
  const desk = cacheDesk(() => server.url)
  const start = async (args: string[] = []) => {
    server = await startRedisServer({ args })
    redis = connect(server.url)
  }
  const stop = async () => {
    redis.disconnect()
    await server.stop()
  }
  beforeEach(() => start(), TIMEOUT)
  afterEach(async () => {
    await desk.closeAll()
    await stop()
  }, TIMEOUT)

  /** Redis is asked again, and what is loaded is kept again. */
  const worksAgain = async (cache: Cache) => {
    let round = 0
    await until(async () => {
      const key = `again:${round++}`
      await cache.get(key, { load: fromOrigin })
      const { tier } = await cache.read(key)
      return tier === 'memory' && (await redis.get(key)) !== null
    })
    assertEquals(await cache.set('again', 1), 'written')
    assertEquals(await cache.delete('again'), 1)
  }

  it(
    'stopped (SIGSTOP): all reads are answered by the origin before it goes on, few loads at once',
    TIMEOUT,
    async () => {
      const { told, observer } = listening()
      const cache = await desk.open({ redisTimeout: BOUND_MS, maxLoads: 3, loadTimeout: '30s', observers: [observer] })
      await redis.set('in redis', '"there"')
      assertEquals(await cache.get('in redis'), 'there')
      server.pause()
      try {
        const held = heldLoads<string>()
        const all = Promise.all(numbered(50).map((key) => cache.read(key, { load: held.load })))
        for (let ended = 0; ended < 50; ended += 3) {
          await held.begun(Math.min(50, ended + 3))
          held.answer('v')
        }
        assertEquals(new Set((await all).map(({ value, tier, status }) => `${value} ${tier} ${status}`)), new Set(['v origin miss'])) // biome-ignore format: short
        assertEquals([held.count, held.mostAtOnce], [50, 3])
        // One after the other: each would wait for the deadline, were it not for the breaker.
        for (const key of numbered(2000)) assertEquals(await cache.get(key, { load: fromOrigin }), `origin ${key}`)
        assertEquals((await cache.getMany(['a', 'b'], (keys) => keys.map(fromOrigin))).size, 2)
        assert(told.errors > 0)
        // There is nothing to load it with: it can't be told, and that is no value.
        assertEquals(await cache.get('without a loader'), undefined)
      } finally {
        server.resume()
      }
      await worksAgain(cache)
      // Nothing that was loaded while it was away has been written late.
      assertEquals((await redis.keys('n:*')).length, 0)
    },
  )

  it('stopped: it is asked a few times only, however many readers come', TIMEOUT, async () => {
    const cache = await desk.open({ redisTimeout: BOUND_MS })
    await redis.config('RESETSTAT')
    server.pause()
    try {
      // One after the other: each would ask, and wait for the deadline.
      for (const key of numbered(35)) assertEquals(await cache.get(key, { load: fromOrigin }), `origin ${key}`)
    } finally {
      server.resume()
    }
    // What was sent is carried out now.
    await worksAgain(cache)
    const asked = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1])
    assert(asked < 30, `asked ${asked} times`)
  })

  it('stopped for longer than a call may take: writes are rejected, and memory is not trusted', TIMEOUT, async () => {
    const cache = await desk.open({ redisTimeout: BOUND_MS, memory: { ttl: '10m' } })
    await redis.set('k', '"old"')
    await until(async () => (await cache.read('k')).tier === 'memory')
    server.pause()
    try {
      for (const write of [() => cache.set('k', 'new'), () => cache.delete('k'), () => cache.invalidateTags('t')]) {
        assertEquals((await assertRejects(write, PrewarmError)).code, 'STORE_UNREACHABLE')
      }
      // The connection was cut by then.
      assertEquals((await cache.read('k', { load: fromOrigin })).tier, 'origin')
    } finally {
      server.resume()
    }
    await worksAgain(cache)
  })

  it('stopped for less than redisTimeout: readers wait for it, and no connection is dropped', TIMEOUT, async () => {
    const cache = await desk.open({ redisTimeout: '50s' })
    await redis.set('k', '"there"')
    server.pause()
    const reading = cache.read('k', { load: fromOrigin })
    // Longer than a connection is given where readers wait for less.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    server.resume()
    const { value, tier } = await reading
    assertEquals([value, tier], ['there', 'redis'])
  })

  it('ended, and started anew empty: reads are answered all the time, and memory is emptied', TIMEOUT, async () => {
    const port = await freePort()
    await stop()
    await start(['--port', String(port)])
    const at = `redis://127.0.0.1:${port}`
    redis.disconnect()
    redis = connect(at)
    const cache = await desk.open({ redis: at, memory: { ttl: '10m' } })
    await cache.set('k', 'old')
    assertEquals((await cache.read('k')).tier, 'memory')
    for (let round = 0; round < 2; round++) {
      await server.stop()
      await until(async () => (await cache.read('k', { load: fromOrigin })).tier === 'origin')
      for (const key of numbered(200)) assertEquals(await cache.get(key, { load: fromOrigin }), `origin ${key}`)
      const error = await assertRejects(() => cache.set('k', 1), PrewarmError)
      assertEquals(error.code, 'STORE_UNREACHABLE')
      server = await startRedisServer({ args: ['--port', String(port)] })
      await worksAgain(cache)
      await cache.get('k', { load: fromOrigin })
    }
  })

  it(
    'away from the start: createCache resolves, reads are answered; it is used once it is there',
    TIMEOUT,
    async () => {
      const port = await freePort()
      const at = `redis://127.0.0.1:${port}`
      const cache = await desk.open({ redis: at })
      for (const key of numbered(100)) assertEquals(await cache.get(key, { load: fromOrigin }), `origin ${key}`)
      await stop()
      await start(['--port', String(port)])
      redis.disconnect()
      redis = connect(at)
      await worksAgain(cache)
    },
  )

  it('full (noeviction): reads are answered, what is there is served, deletes work, set says so', TIMEOUT, async () => {
    const { told, observer } = listening()
    const cache = await desk.open({ observers: [observer] })
    await cache.set('there', 'kept')
    await cache.set('gone', 'old')
    for (let at = 0; at < 300; at++) await redis.set(`ballast:${at}`, 'x'.repeat(10_000))
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await redis.config('SET', 'maxmemory', String(used - 1_048_576))
    await assertRejects(() => redis.set('more', 'x'), Error, 'OOM')

    const another = await desk.open({ memory: false })
    assertEquals(await another.get('there'), 'kept')
    for (const key of numbered(20)) {
      const { value, tier } = await cache.read(key, { load: fromOrigin })
      assertEquals([value, tier], [`origin ${key}`, 'origin'])
    }
    const many = await cache.getMany(numbered(300), (keys) => keys.map(fromOrigin))
    assertEquals(many.size, 300)
    assertEquals(await cache.get('none', { load: () => null }), undefined)
    assertEquals(await cache.get('tagged', { load: fromOrigin, tags: ['t'] }), 'origin tagged')
    assertEquals(await cache.get('there', { load: fromOrigin, fresh: true }), 'origin there')
    assert(told.errors > 0)
    assertEquals(await cache.delete('gone'), 1)
    await cache.invalidateTags('t')
    const error = await assertRejects(() => cache.set('more', 'x'), PrewarmError)
    assertEquals([error.code, error.detail], ['STORE_REFUSED', 'OOM'])
    await redis.config('SET', 'maxmemory', '0')
    await worksAgain(cache)
  })
})

describe('createCache while the origin fails', () => {
  let redis: Redis
  const desk = onOwnRedis((on) => {
    redis = on.redis
  })

  const down = () => {
    throw new Error('the origin is down')
  }

  it("a stale value is served as long as there is one, then the loader's own error is thrown", TIMEOUT, async () => {
    const cache = await desk.open()
    const options = { load: down, ttl: '1h', grace: '10m' } as const
    await cache.get('k', { ...options, load: () => 'last' })
    await endIn(redis, 'k', 60_000)
    await until(async () => (await cache.read('k', options)).status === 'stale')
    for (let round = 0; round < 20; round++) assertEquals(await cache.get('k', options), 'last')
    await redis.pexpire('k', 1)
    await until(() =>
      cache.get('k', options).then(
        () => false,
        (error) => error.message === 'the origin is down',
      ),
    )
    // Nothing is left of it: the next reader loads at once.
    assertEquals(await cache.get('k', { load: fromOrigin }), 'origin k')
    await assertRejects(() => cache.getMany(['x', 'k'], down), Error, 'the origin is down')
  })

  it('a load that never ends is given up, for all who wait; the next reader loads anew', TIMEOUT, async () => {
    const cache = await desk.open({ loadTimeout: 100 })
    let isAborted = false
    const load = (_: string, { signal }: { signal: AbortSignal }) =>
      new Promise<never>(() => {
        signal.addEventListener('abort', () => {
          isAborted = true
        })
      })
    const all = await Promise.allSettled([cache.get('k', { load }), cache.get('k', { load })])
    for (const one of all) assert(one.status === 'rejected' && one.reason.code === 'ORIGIN_TIMEOUT')
    assert(isAborted)
    assertEquals(await cache.get('k', { load: fromOrigin }), 'origin k')
  })
})
