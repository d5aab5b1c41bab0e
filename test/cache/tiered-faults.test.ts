import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { Desk, type Seat } from './desk.ts'

const away = () => {
  throw new PrewarmError('STORE_UNREACHABLE', 'Redis is away')
}

/** Redis answers nothing, as when it hangs. */
function hang({ tier }: Seat): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  tier.before = () => promise
  return () => {
    tier.before = () => {}
    resolve()
  }
}

describe('TieredCache with Redis away', () => {
  it('reads from the origin, throws nothing, and tells of the errors', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    seat.tier.before = away
    let loads = 0
    assertEquals(await seat.cache.get('k', { load: () => ++loads }), 1)
    assertEquals(await seat.cache.get('k', { load: () => ++loads }), 2) // kept nowhere
    assertEquals([...(await seat.cache.getMany(['a', 'b'], (keys) => keys.map(() => 5)))].length, 2)
    assertEquals(await seat.cache.get('nothing to load it with'), undefined)
    assert(seat.errors.includes('redis'))
  })

  it('waits for a Redis that hangs no longer than redisTimeout', async () => {
    const desk = new Desk()
    const seat = desk.seat({ redisTimeout: 50 })
    hang(seat)
    assertEquals(await desk.until(seat.cache.get('k', { load: () => 1 })), 1)
    assertEquals(desk.clock.elapsedMs, 50)
  })

  it('asks no more after five failures in a row, and finds out later that it is back', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    seat.tier.before = away
    for (let at = 0; at < 5; at++) await seat.cache.get(`k${at}`, { load: () => 1 })
    const asked = seat.tier.calls.length
    for (let at = 0; at < 100; at++) await seat.cache.get(`k${at}`, { load: () => 1 })
    assertEquals(seat.tier.calls.length, asked)
    seat.tier.before = () => {}
    await desk.clock.advance(1001)
    await seat.cache.get('k', { load: () => 1 })
    assertEquals(await seat.cache.get('k', { load: () => 2 }), 1)
  })

  it('bounds the loads that come to the origin then', async () => {
    const desk = new Desk()
    const seat = desk.seat({ maxLoads: 4, maxWaitingLoads: 10 })
    seat.tier.before = away
    const { load, calls, waiting } = desk.held<number>()
    const all = Array.from({ length: 20 }, (_, at) => seat.cache.get(`k${at}`, { load }))
    const ends = Promise.allSettled(all)
    await turn()
    assertEquals(calls.length, 4)
    for (let at = 0; at < 14; at++) {
      waiting[at]?.resolve(at)
      await turn()
    }
    const refused = (await ends).filter((end) => end.status === 'rejected')
    assertEquals([refused.length, calls.length], [6, 14])
    assertEquals((refused[0] as PromiseRejectedResult).reason.code, 'RATE_LIMITED')
  })

  it('empties memory when changes are no longer heard, and keeps nothing until they are', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    await seat.cache.get('k', { load: () => 1 })
    assertEquals((await seat.cache.read('k')).tier, 'memory')
    seat.tier.setHearing('nothing')
    assertEquals((await seat.cache.read('k')).tier, 'redis')
    assertEquals((await seat.cache.read('k')).tier, 'redis')
    seat.tier.setHearing('tracking')
    await seat.cache.read('k')
    assertEquals((await seat.cache.read('k')).tier, 'memory')
  })

  it('a delete, a set and a tag that can not be carried out say so, and memory forgets them', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    await seat.cache.set('k', 1, { tags: ['t'] })
    seat.tier.before = away
    for (const work of [
      () => seat.cache.delete('k'),
      () => seat.cache.set('k', 2),
      () => seat.cache.invalidateTags('t'),
    ]) {
      const error = await assertRejects(work, PrewarmError)
      assertEquals(error.code, 'STORE_UNREACHABLE')
    }
    assertEquals(await seat.cache.get('k', { load: () => 'from the origin' }), 'from the origin')
  })

  it('gives a lease back that was granted after its reader had gone to the origin', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    const { promise, resolve } = Promise.withResolvers<void>()
    a.tier.after = (name) => (name === 'read' ? promise : undefined)
    assertEquals(await desk.until(a.cache.get('k', { load: () => 1 })), 1)
    resolve()
    await turn()
    let waited = false
    b.tier.before = (name) => {
      waited ||= name === 'ticket'
    }
    assertEquals([await b.cache.get('k', { load: () => 2 }), waited], [2, false])
  })
})

describe('TieredCache with a loader that fails', () => {
  it('throws the loader’s own error, remembers nothing, and lets the next one try', async () => {
    const desk = new Desk()
    const { cache, errors } = desk.seat()
    const error = new RangeError('no luck')
    const thrown = await assertRejects(() => cache.get('k', { load: () => Promise.reject(error) }))
    assertEquals([thrown === error, errors], [true, ['origin']])
    await assertRejects(
      () =>
        cache.get('k', {
          load: () => {
            throw error
          },
        }),
      RangeError,
    )
    assertEquals(await cache.get('k', { load: () => 1 }), 1)
  })

  it('ends a load that takes too long, tells it so, and drops what it brings later', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ loadTimeout: '1s' })
    const { load, waiting } = desk.held<number>()
    const reading = cache.get('k', { load })
    const error = await assertRejects(() => desk.until(reading), PrewarmError, "loading 'k' took longer than 1000 ms")
    assertEquals([error.code, waiting[0]?.signal.aborted], ['ORIGIN_TIMEOUT', true])
    waiting[0]?.resolve(1)
    await turn()
    assertEquals(await cache.get('k', { load: () => 2 }), 2)
  })

  it('a value that can not be stored is the reader’s all the same, and not kept', async () => {
    const desk = new Desk()
    const { cache, errors } = desk.seat()
    assertEquals(await cache.get('k', { load: () => 5n }), 5n)
    assertEquals([await cache.has('k'), errors], [false, ['origin']])
    assertEquals(await cache.get('k', { load: () => 'text' }), 'text')
  })

  it('a value in Redis that can not be read is loaded anew, and replaced', async () => {
    const desk = new Desk()
    const { cache } = desk.seat({ memory: false })
    desk.state.put('k', { type: 'string', value: '{not json' }, 60_000)
    assertEquals(await cache.get('k', { load: () => 1 }), 1)
    assertEquals(await cache.get('k', { load: () => 2 }), 1)
  })
})

describe('TieredCache.close', () => {
  it('ends loads, waits and later reads with STOPPED, and leaves no timer', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    const { load, waiting } = desk.held<number>()
    const loading = a.cache.get('k', { load })
    await turn()
    const waits = b.cache.get('k', { load })
    await turn()
    const ends = Promise.allSettled([loading, waits])
    await Promise.all([a.cache.close(), b.cache.close(), a.cache.close()])
    for (const end of await ends) assertEquals((end as PromiseRejectedResult).reason.code, 'STOPPED')
    assertEquals(waiting[0]?.signal.aborted, true)
    const late = await assertRejects(() => a.cache.get('l', { load }), PrewarmError)
    assertEquals([late.code, desk.clock.pending], ['STOPPED', 0])
  })
})
