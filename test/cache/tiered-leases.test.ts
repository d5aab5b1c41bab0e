import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import type { TierCall } from '../fakes/memory-tier.ts'
import { Desk, type Seat } from './desk.ts'

/** The next calls of one kind get their reply when they are let go. */
function holdReply({ tier }: Seat, kind: TierCall): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  tier.after = (name) => (name === kind ? promise : undefined)
  return () => {
    tier.after = () => {}
    resolve()
  }
}

/** How long a reader of another process waits for `key`, ms: 0 if nobody holds its lease. */
async function waitOf(desk: Desk, key: string): Promise<number> {
  const fromMs = desk.clock.elapsedMs
  await desk.until(desk.seat().cache.get(key, { load: () => 'other' }))
  return desk.clock.elapsedMs - fromMs
}

describe('TieredCache gives leases back', () => {
  it('that were granted after the wait for them had ended', async () => {
    const desk = new Desk()
    const seat = desk.seat({ memory: false, grace: '20s' })
    const options = { load: () => 1, ttl: '60s' }
    await seat.cache.get('k', options)
    await desk.clock.advance(61_000)
    const letGo = holdReply(seat, 'lease')
    assertEquals((await seat.cache.read('k', options)).status, 'stale')
    await desk.clock.advance(51) // the refresh has given up
    letGo()
    await turn()
    desk.state.drop('k')
    assertEquals(await waitOf(desk, 'k'), 0)
  })

  it('when the versions of the tags can not be told, so that nothing can be written', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    seat.tier.before = (name) => {
      if (name === 'tagVersions') throw new PrewarmError('STORE_REFUSED', 'No memory')
    }
    assertEquals(await seat.cache.get('k', { load: () => 1, tags: ['t'] }), 1)
    assertEquals(await waitOf(desk, 'k'), 0)
  })

  it('when a value can not be stored, and when "none" is not to be remembered', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    await seat.cache.get('a', { load: () => 5n })
    await seat.cache.get('b', { load: () => null, negativeTtl: 0 })
    assertEquals([await waitOf(desk, 'a'), await waitOf(desk, 'b')], [0, 0])
  })

  it('when a write failed', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    seat.tier.before = (name) => {
      if (name === 'fill') throw new PrewarmError('STORE_REFUSED', 'Read-only')
    }
    assertEquals(await seat.cache.get('k', { load: () => 1 }), 1)
    await turn()
    assertEquals(await waitOf(desk, 'k'), 0)
  })

  it('though Redis is thought to be away, and tells nothing about it by that', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    const { load, waiting } = desk.held<number>()
    const reading = seat.cache.get('k', { load })
    await turn()
    seat.tier.before = (name) => {
      if (name === 'read') throw new PrewarmError('STORE_UNREACHABLE', 'Redis is away')
    }
    for (let at = 0; at < 5; at++) await seat.cache.get(`k${at}`)
    waiting[0]?.reject(new Error('no luck'))
    await assertRejects(() => reading, Error, 'no luck')
    const asked = seat.tier.calls.length
    await seat.cache.get('l')
    assertEquals([await waitOf(desk, 'k'), seat.tier.calls.length], [0, asked]) // still left alone
  })

  it('before it is closed: the next process need not wait for one that is gone', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    let isDown = false
    seat.cleanUps.push(() => {
      isDown = true
    })
    seat.tier.before = () => {
      if (isDown) throw new PrewarmError('STORE_UNREACHABLE', 'closed')
    }
    const { load } = desk.held<number>()
    const reads = Promise.allSettled([
      seat.cache.get('k', { load }),
      seat.cache.get('l', { load, fresh: true }),
      seat.cache.getMany(['m', 'n'], (keys) => new Promise(() => void keys)),
    ])
    await turn()
    await desk.until(seat.cache.close())
    for (const end of await reads) assertEquals((end as PromiseRejectedResult).reason.code, 'STOPPED')
    for (const key of ['k', 'l', 'm', 'n']) assertEquals(await waitOf(desk, key), 0)
    assertEquals([seat.cache.pending, desk.clock.pending], [{ flights: 0, questions: 0, work: 0 }, 0])
  })

  it('and closes what it was given, whatever one of that throws', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    const closed: string[] = []
    seat.cleanUps.push(
      () => {
        throw new Error('no luck')
      },
      () => Promise.reject(new Error('no luck either')),
      () => void closed.push('last'),
    )
    await seat.cache.close()
    assertEquals(closed, ['last'])
  })
})
