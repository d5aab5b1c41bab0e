import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { httpTask, keys, loadTask } from '../fakes/tasks.ts'
import { Desk } from './desk.ts'

const keysOf = (count: number) => Array.from({ length: count }, (_, at) => `k${at}`)

describe('TieredCache spares the origin, and its readers', () => {
  it('refreshes never take the place of readers: a thousand due at once fill half of the loads, and no queue', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ memory: false, grace: '20s', maxLoads: 4, maxWaitingLoads: 10 })
    const keys = keysOf(1000)
    await cache.getMany(keys, (missing) => missing.map(() => 'old'), { ttl: '60s' })
    await desk.clock.advance(61_000)
    const { load, calls } = desk.held<string>()
    const stale = await Promise.all(keys.map((key) => cache.get(key, { load, ttl: '60s' })))
    assertEquals(new Set(stale), new Set(['old']))
    await turn()
    assertEquals(calls.length, 2)
    assertEquals(await cache.get('new', { load: () => 'new' }), 'new')
    await turn()
    assertEquals(cache.pending.work, 2)
  })

  it('a reader behind a full origin gets an error in time', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ maxLoads: 1, loadTimeout: '2s' })
    const ends = Promise.allSettled(keysOf(50).map((key) => cache.get(key, { load: () => new Promise(() => {}) })))
    await desk.until(ends)
    assert(desk.clock.elapsedMs <= 4000, `${desk.clock.elapsedMs}`)
    assertEquals([cache.pending, desk.clock.pending], [{ flights: 0, questions: 0, work: 0 }, 0])
  })

  it('a load may read through the cache itself, however few loads there may be', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ maxLoads: 2 })
    const inner = (key: string) => cache.get<string>(`inner:${key}`, { load: () => key })
    const outer = keysOf(10).map((key) => cache.get(key, { load: inner }))
    assertEquals(await desk.until(Promise.all(outer)), keysOf(10))
    assertEquals(desk.clock.elapsedMs, 0)
  })

  it('a load may wait for what another reader has asked for, and that waits in the queue', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ maxLoads: 1 })
    const begun = Promise.withResolvers<void>()
    const outer = cache.get<string>('outer', {
      load: async () => {
        await begun.promise
        return `outer, ${await cache.get('inner', { load: () => 'not needed' })}`
      },
    })
    await turn()
    const inner = cache.get('inner', { load: () => 'inner' })
    const other = cache.get('other', { load: () => 'other' })
    await turn()
    begun.resolve()
    assertEquals(await desk.until(Promise.all([outer, inner, other])), ['outer, inner', 'inner', 'other'])
    await turn()
    assertEquals([desk.clock.elapsedMs, cache.pending.work, desk.clock.pending], [0, 0, 0])
  })

  it('getMany with fresh is one load, too', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    await cache.setMany(keysOf(5).map((key) => [key, 'old'] as const))
    const calls: string[][] = []
    const values = await cache.getMany(
      keysOf(5),
      (keys) => {
        calls.push(keys)
        return keys.map(() => 'new')
      },
      { fresh: true },
    )
    assertEquals([[...values.values()], calls], [Array(5).fill('new'), [keysOf(5)]])
    assertEquals((await cache.read('k1')).value, 'new')
  })

  it('getMany of a keyspace asks for no more than a batch at once, and of an http one for each key apart', async () => {
    for (const [tasks, calls] of [
      [[loadTask({ batchSize: 2 })], [2, 2, 1]],
      [[httpTask()], [1, 1, 1, 1, 1]],
    ] as const) {
      const desk = new Desk()
      const { cache } = desk.seat({ tasks: [...tasks] })
      // None takes longer than its bound, all together do.
      desk.origin.onRead = () => desk.clock.sleep((tasks[0]?.timeoutMs ?? 0) - 1)
      const values = await desk.until(cache.getMany(keys(5)))
      const read = desk.origin.reads.map(({ work }) => (work.kind === 'keys' ? work.keys.length : 0))
      assertEquals([[...values.keys()], read], [keys(5), [...calls]])
    }
  })

  it('the time that a load waits for its turn does not count as the time it takes', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ maxLoads: 1, refreshAhead: 1, grace: 0, loadTimeout: '20s' })
    let loads = 0
    const load = async () => {
      await desk.clock.sleep(1000)
      return ++loads
    }
    const options = { load, ttl: '60s', negativeTtl: 0 }
    await desk.until(Promise.all(keysOf(10).map((key) => cache.get(key, options))))
    desk.random = 0.999 // 6.9 loads' time before the end
    await desk.clock.advance(20_000)
    await desk.until(cache.get('k9', options))
    await desk.clock.advance(20_000)
    await desk.until(cache.get('k9', options))
    assertEquals(loads, 10)
  })

  it('a refresh has the TTL of the load that it replaces', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ memory: false, ttlJitter: 0.5, grace: '1s' })
    const options = { load: () => 1, ttl: '60s' }
    const { ttlMs } = await cache.read('k', options)
    assert(ttlMs < 59_000)
    await desk.clock.advance(ttlMs + 500)
    assertEquals((await cache.read('k', options)).status, 'stale')
    await turn()
    const refreshed = (await cache.read('k', options)).ttlMs
    assert(Math.abs(refreshed - ttlMs) <= 100, `${refreshed}, ${ttlMs}`)
  })

  it('a keyspace whose origin can not be had is read all the same, where others have filled it', async () => {
    const desk = new Desk()
    const { cache, errors } = desk.seat({
      tasks: [loadTask({ key: 'k:{id}' })],
      originOf: () => {
        throw new PrewarmError('CONFIG_INVALID', 'No database is configured')
      },
    })
    desk.state.put('k:1', { type: 'string', value: '{"n":1}' }, 60_000)
    assertEquals(await cache.get('k:1'), { n: 1 })
    assertEquals(await cache.getMany(['k:1']), new Map([['k:1', { n: 1 }]]))
    await assertRejects(() => cache.get('k:2'), PrewarmError, 'No database is configured')
    await assertRejects(() => cache.getMany(['k:1', 'k:3']), PrewarmError, 'No database is configured')
    await turn()
    assertEquals([errors, cache.pending], [['origin', 'origin'], { flights: 0, questions: 0, work: 0 }])
  })

  it('one key that fails does not take from the others what was loaded, nor from the counts', async () => {
    const desk = new Desk()
    const { cache, told } = desk.seat({ tasks: [loadTask({ key: 'k:{id}' })] })
    desk.origin.isAway = (key) => key === 'k:1'
    await assertRejects(() => cache.getMany(['k:1', 'k:2', 'k:3']), PrewarmError, 'nothing for k:1')
    assertEquals(
      told.map(({ key, status }) => [key, status]),
      [
        ['k:2', 'miss'],
        ['k:3', 'miss'],
      ],
    )
    assertEquals([...(await cache.getMany(['k:2', 'k:3'])).values()], ['value of k:2', 'value of k:3'])
  })

  it('a key that can not be leaves nothing behind of those before it', async () => {
    const { cache } = new Desk().seat()
    await assertRejects(() => cache.getMany(['a', 'b', '']), PrewarmError, 'key is')
    await assertRejects(() => cache.setMany([['a', 1] as const, ['', 2] as const]), PrewarmError, 'key is')
    assertEquals(cache.pending, { flights: 0, questions: 0, work: 0 })
  })
})

describe('TieredCache tells what is', () => {
  it('warm names why a value can not be stored', async () => {
    const { cache } = new Desk().seat()
    const error = await assertRejects(() => cache.warm('k', { load: () => 5n }), PrewarmError)
    assertEquals(error.code, 'VALUE_INVALID')
  })

  it('"none" is no entry, and nobody’s merit, wherever it is read', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    await a.cache.warm('k', { load: () => null })
    for (const { cache, told } of [a, b]) {
      await cache.get('k')
      assertEquals([told[0]?.filledBy, told[0]?.expiresAtMs, told[0]?.status], ['read', 0, 'hit'])
    }
  })

  it('a hash field may be called __proto__, on a miss as on a hit', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat({ tasks: [loadTask({ key: 'k:{id}', value: 'hash' })] }), desk.seat()]
    desk.origin.valueOf = () => ['__proto__', 'x', 'name', 'y']
    for (let at = 0; at < 2; at++)
      assertEquals(Object.entries((await a.cache.get<object>('k:1')) ?? {}), [
        ['__proto__', 'x'],
        ['name', 'y'],
      ])
    await b.cache.close()
  })

  it('half a character in a key or a tag is refused: two keys would be one', async () => {
    const { cache } = new Desk().seat()
    await assertRejects(() => cache.get('k\ud800'), PrewarmError, 'half a surrogate pair')
    await assertRejects(() => cache.set('k', 1, { tags: ['t\udfff'] }), PrewarmError, 'whole characters')
    await cache.set('k\u{1f600}', 1)
    assertEquals(await cache.get('k\u{1f600}'), 1)
  })
})
