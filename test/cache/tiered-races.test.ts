import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { Desk, type Seat } from './desk.ts'

/** Holds the replies of one kind of call back, until they are let go in any order. */
function holdReplies({ tier }: Seat, kind: string) {
  const replies: (() => void)[] = []
  tier.after = (name) => (name === kind ? new Promise<void>((resolve) => void replies.push(resolve)) : undefined)
  return {
    replies,
    stop: () => {
      tier.after = () => {}
    },
  }
}

describe('TieredCache, never older over newer', () => {
  it('a reader that comes after a tag was invalidated joins no read from before that', async () => {
    for (const loads of [true, false]) {
      const desk = new Desk()
      const seat = desk.seat({ memory: false })
      await seat.cache.set('k', 'old', { tags: ['t'] })
      const { replies, stop } = holdReplies(seat, 'read')
      const options = loads ? { load: () => 'new', tags: ['t'] } : {}
      const early = seat.cache.get('k', options)
      await turn()
      stop()
      await seat.cache.invalidateTags('t')
      const late = seat.cache.get('k', options)
      await turn()
      for (const reply of replies) reply()
      assertEquals([await early, await late], ['old', loads ? 'new' : undefined])
    }
  })

  it('a reader that comes after a change by another process was heard of joins no load from before that', async () => {
    for (const change of ['delete', 'tag'] as const) {
      const desk = new Desk()
      const [a, b] = [desk.seat(), desk.seat()]
      const { load, waiting } = desk.held<string>()
      const early = a.cache.get('k', { load, tags: ['t'] })
      await turn()
      await (change === 'delete' ? b.cache.delete('k') : b.cache.invalidateTags('t'))
      const late = a.cache.get('k', { load, tags: ['t'] })
      await desk.clock.advance(1)
      waiting[0]?.resolve('old')
      await turn()
      await desk.clock.advance(100)
      waiting[1]?.resolve('new')
      assertEquals([change, await early, await desk.until(late)], [change, 'old', 'new'])
    }
  })

  it('memory keeps what was written, not an answer from before that which is looked at later', async () => {
    const desk = new Desk()
    const seat = desk.seat({ redisTimeout: '1m' })
    desk.state.put('k', { type: 'string', value: '"old"' }, 60_000)
    const { replies, stop } = holdReplies(seat, 'read')
    const look = seat.cache.get('k')
    await turn()
    stop()
    assertEquals(await seat.cache.get('k', { load: () => 'new', fresh: true }), 'new')
    replies[0]?.()
    assertEquals(await look, 'old')
    assertEquals(await seat.cache.get('k'), 'new')
  })

  it('of two writes whose replies change places memory keeps neither, or the last one', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const desk = new Desk()
      const seat = desk.seat({ redisTimeout: '1m' })
      const { replies, stop } = holdReplies(seat, 'fill')
      const first = seat.cache.get('k', { load: () => 'first', fresh: true })
      await turn()
      const second = seat.cache.get('k', { load: () => 'second', fresh: true })
      await turn()
      stop()
      for (const at of order) {
        replies[at]?.()
        await turn()
      }
      assertEquals([await first, await second], ['first', 'second'])
      assertEquals(await seat.cache.get('k'), 'second')
    }
  })

  it('what was to be replaced, and may or may not have been, is not served from memory', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    await seat.cache.get('k', { load: () => 'old' })
    const { stop } = holdReplies(seat, 'fill')
    assertEquals(await desk.until(seat.cache.get('k', { load: () => 'new', fresh: true })), 'new')
    stop()
    assertEquals(await seat.cache.get('k'), 'new')
  })

  it('a set that was carried out, though its caller was told of an error, leaves no older value in memory', async () => {
    const desk = new Desk()
    const seat = desk.seat()
    await seat.cache.set('k', 'old')
    const begin = Promise.withResolvers<void>()
    seat.tier.before = (name) => (name === 'set' ? begin.promise : undefined)
    seat.tier.after = (name) => {
      if (name === 'set') throw new PrewarmError('STORE_UNREACHABLE', 'The reply was lost')
    }
    const setting = seat.cache.set('k', 'new')
    await turn()
    assertEquals(await seat.cache.get('k'), 'old') // before it is carried out
    begin.resolve()
    await assertRejects(() => setting, PrewarmError, 'The reply was lost')
    assertEquals(await seat.cache.get('k'), 'new')
  })
})
