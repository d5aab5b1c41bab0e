import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import { turn } from '../fakes/clock.ts'
import { loadTask } from '../fakes/tasks.ts'
import { Desk } from './desk.ts'

describe('TieredCache reads', () => {
  it('get loads once, then answers from memory, and another process from Redis, then from its memory', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    let loads = 0
    const load = () => ({ n: ++loads })
    const from = async (seat: typeof a) => {
      const { value, tier, status } = await seat.cache.read('k', { load })
      return [value, tier, status]
    }
    assertEquals(await from(a), [{ n: 1 }, 'origin', 'miss'])
    assertEquals(await from(a), [{ n: 1 }, 'memory', 'hit'])
    assertEquals(await from(b), [{ n: 1 }, 'redis', 'hit'])
    assertEquals(await from(b), [{ n: 1 }, 'memory', 'hit'])
    assertEquals(
      a.told.map(({ tier, filledBy }) => [tier, filledBy]),
      [
        ['origin', 'read'],
        ['memory', 'read'],
      ],
    )
  })

  it('a miss gives exactly what a hit gives, frozen', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const load = () => ({ at: new Date(0), list: [{ x: 1 }], gone: undefined })
    const missed = await cache.get<{ list: { x: number }[] }>('k', { load: load as never })
    const hit = await cache.get('k')
    assertEquals(missed, { at: '1970-01-01T00:00:00.000Z', list: [{ x: 1 }] } as never)
    assertEquals(hit, missed)
    assertThrows(() => {
      ;(missed?.list[0] as { x: number }).x = 2
    }, TypeError)
  })

  it('a thousand readers of one cold key make one load, and all get its value', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const { load, calls, waiting } = desk.held<number>()
    const all = Array.from({ length: 1000 }, () => cache.get('k', { load }))
    await turn()
    waiting[0]?.resolve(7)
    assertEquals(new Set(await Promise.all(all)), new Set([7]))
    assertEquals(calls, ['k'])
  })

  it('readers of other processes wait for the one that loads', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    const { load, calls, waiting } = desk.held<number>()
    const first = a.cache.get('k', { load })
    await turn()
    const second = b.cache.get('k', { load })
    await desk.clock.advance(200)
    assertEquals(calls.length, 1)
    waiting[0]?.resolve(7)
    assertEquals([await first, await desk.until(second)], [7, 7])
    assertEquals(calls.length, 1)
  })

  it('who waits for another process loads at the deadline, and when that one gives up', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat({ loadTimeout: '1m' }), desk.seat({ waitTime: '1s' })]
    const slow = desk.held<number>()
    void a.cache.get('k', { load: slow.load }).catch(() => {})
    await turn()
    assertEquals(await desk.until(b.cache.get('k', { load: () => 2 })), 2)
    assert(desk.clock.elapsedMs >= 1000)

    const failing = desk.held<number>()
    const lost = a.cache.get('other', { load: failing.load })
    await turn()
    const taken = b.cache.get('other', { load: () => 3 })
    await turn()
    failing.waiting[0]?.reject(new Error('no luck'))
    await assertRejects(() => lost, Error, 'no luck')
    assertEquals(await desk.until(taken), 3)
  })

  it('"the origin has none" is remembered for negativeTtl, in both layers, and forgotten when it is written', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat({ negativeTtl: '10s' }), desk.seat()]
    let loads = 0
    const load = () => {
      loads++
      return null
    }
    assertEquals(await a.cache.get('k', { load }), undefined)
    assertEquals(await b.cache.get('k', { load }), undefined)
    assertEquals(await b.cache.get('k', { load }), undefined)
    assertEquals([loads, await a.cache.has('k')], [1, false])
    await desk.clock.advance(10_001)
    assertEquals([await a.cache.get('k', { load }), loads], [undefined, 2])
    await b.cache.set('k', 'here')
    assertEquals([await a.cache.get('k', { load }), loads], ['here', 2])
    await a.cache.get('never', { load, negativeTtl: 0 })
    await a.cache.get('never', { load, negativeTtl: 0 })
    assertEquals(loads, 4)
  })

  it('a value in its grace is served stale while one reader refreshes it', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ memory: false, grace: '20s' })
    const { load, calls, waiting } = desk.held<string>()
    const first = cache.get('k', { load, ttl: '60s' })
    await turn()
    waiting[0]?.resolve('old')
    await first
    await desk.clock.advance(60_500)
    const reads = await Promise.all([1, 2, 3].map(() => cache.read('k', { load, ttl: '60s' })))
    assertEquals(
      reads.map(({ value, status }) => [value, status]),
      Array(3).fill(['old', 'stale']),
    )
    await turn()
    assertEquals(calls.length, 2)
    waiting[1]?.resolve('new')
    await turn()
    const { value, status } = await cache.read('k', { load })
    assertEquals([value, status, calls.length], ['new', 'hit', 2])
  })

  it('what the application has set, or another program, is fresh to its end, and not served after it', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    await a.cache.set('k', 1, { ttl: '20s' })
    desk.state.put('other', { type: 'string', value: '2' }, 20_000)
    for (const key of ['k', 'other']) {
      const { status, ttlMs } = await b.cache.read(key)
      assertEquals([status, ttlMs], ['hit', 20_000])
      assertEquals((await b.cache.read(key)).tier, 'memory')
    }
    await desk.clock.advance(20_001)
    for (const { cache } of [a, b]) assertEquals([await cache.get('k'), await cache.has('k')], [undefined, false])
    await a.cache.set('graced', 3, { ttl: '20s', grace: '5s' })
    await desk.clock.advance(21_000)
    const { value, status } = await b.cache.read('graced', { grace: '5s' })
    assertEquals([value, status], [3, 'stale'])
  })

  it('a refresh that fails leaves the stale value to be served, until its grace has ended', async () => {
    const desk = new Desk()
    const { cache, errors } = desk.seat({ memory: false, grace: '20s' })
    await cache.get('k', { load: () => 'old', ttl: '60s' })
    await desk.clock.advance(61_000)
    const load = () => Promise.reject(new Error('the origin is down'))
    assertEquals(await cache.get('k', { load }), 'old')
    await turn()
    assertEquals([await cache.get('k', { load }), errors.includes('origin')], ['old', true])
    await desk.clock.advance(20_000)
    await assertRejects(() => desk.until(cache.get('k', { load })), Error, 'the origin is down')
  })

  it('refreshes ahead of the end by the rule of chance, from memory as well', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ refreshAhead: 1, grace: 0 })
    let loads = 0
    const load = async () => {
      await desk.clock.sleep(1000)
      return ++loads
    }
    await desk.until(cache.get('k', { load, ttl: '60s' }))
    desk.random = 0.999 // -ln(0.001) = 6.9 loads' time before the end
    await desk.clock.advance(20_000)
    assertEquals([await cache.get('k', { load, ttl: '60s' }), loads], [1, 1])
    await desk.clock.advance(9_000)
    assertEquals(await cache.get('k', { load, ttl: '60s' }), 1)
    await desk.clock.advance(26_000)
    assertEquals(await cache.get('k', { load, ttl: '60s' }), 1)
    await desk.clock.advance(1500)
    assertEquals([await cache.get('k', { load, ttl: '60s' }), loads], [2, 2])
  })

  it('getMany loads all that is missing by one call, and keeps what was there', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    await cache.set('a', 1)
    const calls: string[][] = []
    const loadMissing = (keys: string[]) => {
      calls.push(keys)
      return new Map(keys.filter((key) => key !== 'none').map((key) => [key, key.length]))
    }
    const values = await cache.getMany(['a', 'bb', 'ccc', 'none', 'bb'], loadMissing)
    assertEquals(
      [...values],
      [
        ['a', 1],
        ['bb', 2],
        ['ccc', 3],
      ],
    )
    assertEquals(calls, [['bb', 'ccc', 'none']])
    assertEquals([...(await cache.getMany(['a', 'bb', 'none'], loadMissing)).keys()], ['a', 'bb'])
    assertEquals(calls.length, 1)
    assertEquals(
      [...(await cache.getMany(['x', 'yy'], (keys) => keys.map((key) => key.length)))],
      [
        ['x', 1],
        ['yy', 2],
      ],
    )
    assertEquals([...(await cache.getMany(['o'], () => ({ o: 1 })))], [['o', 1]])
    await assertRejects(() => cache.getMany(['p', 'q'], () => [1]), Error, 'a list of 1 for 2 keys')
    assertEquals(await cache.getMany([]), new Map())
  })

  it('getMany and get of the same key share one load', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const { load, calls, waiting } = desk.held<number>()
    const one = cache.get('k', { load })
    const many = cache.getMany<number>(['k', 'l'], (keys) => keys.map(() => 2))
    await turn()
    waiting[0]?.resolve(1)
    assertEquals(
      [await one, [...(await many)], calls.length],
      [
        1,
        [
          ['k', 1],
          ['l', 2],
        ],
        1,
      ],
    )
  })

  it('a key of a keyspace needs no loader, and is kept as the warmer keeps it', async () => {
    const desk = new Desk()
    const { cache, told } = desk.seat({ tasks: [loadTask({ key: 'k:{id}', value: 'hash', ttl: '5m' })] })
    desk.origin.valueOf = (key) => ({ name: key, n: 5 })
    const { value, tier } = await cache.read('k:1')
    assertEquals([value, tier], [{ name: 'k:1', n: '5' }, 'origin'])
    assertEquals(told[0]?.keyspace, 'one')
    assertEquals([...(await cache.getMany(['k:1', 'k:2'])).keys()], ['k:1', 'k:2'])
    assertEquals(await cache.get('free'), undefined)
  })

  it('fresh loads in any case, and replaces what is there', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    await cache.get('k', { load: () => 1 })
    assertEquals(await cache.get('k', { load: () => 2, fresh: true }), 2)
    assertEquals(await cache.get('k', { load: () => 3 }), 2)
  })

  it('a caller that gives up waits no more, and the load goes on for the others', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const { load, waiting } = desk.held<number>()
    const abort = new AbortController()
    const one = cache.get('k', { load, signal: abort.signal })
    const two = cache.get('k', { load })
    await turn()
    abort.abort(new Error('enough'))
    await assertRejects(() => one, Error, 'enough')
    waiting[0]?.resolve(1)
    assertEquals(await two, 1)
  })

  it('wrap reads a function through the cache, by a key of its arguments', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    let calls = 0
    const add = cache.wrap(async (a: number, b: number) => [a + b, ++calls], {
      key: (a, b) => `add:${a}:${b}`,
      ttl: '1m',
    })
    assertEquals(
      [await add(1, 2), await add(1, 2), await add(2, 2)],
      [
        [3, 1],
        [3, 1],
        [4, 2],
      ],
    )
  })

  it('wrap makes keys of the function’s name and arguments, and wants one or the other', async () => {
    const { cache } = new Desk().seat()
    let calls = 0
    async function citiesOf(country: string) {
      return [country, ++calls]
    }
    const cities = cache.wrap(citiesOf)
    assertEquals(
      [await cities('de'), await cities('de'), await cities('fr')],
      [
        ['de', 1],
        ['de', 1],
        ['fr', 2],
      ],
    )
    assertEquals(await cache.has('citiesOf:["de"]'), true)
    assertThrows(() => cache.wrap(async () => 1, {}), Error, 'has no name')
  })

  it('delete and invalidateTags take lists, too; a function in the place of options is refused', async () => {
    const { cache } = new Desk().seat()
    await cache.setMany(
      [
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ],
      { tags: ['t'] },
    )
    assertEquals(await cache.delete(['a', 'b']), 2)
    await cache.invalidateTags(['t'])
    assertEquals(await cache.get('c'), undefined)
    await assertRejects(() => cache.get('c', (() => 1) as never), Error, 'options is a function')
  })

  it('refuses keys that can not be, by name', async () => {
    const { cache } = new Desk().seat()
    for (const key of ['', 'x'.repeat(4097), 'prewarm:version:a', 7 as never])
      await assertRejects(() => cache.get(key), Error, 'key is')
  })
})
