import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type Kept, MemoryLayer } from '../../src/cache/memory.ts'
import type { CacheLink } from '../../src/cache/tier.ts'
import { FakeClock } from '../fakes/clock.ts'

function create(options: { maxItems?: number; maxBytes?: number; ttlMs?: number } = {}) {
  const clock = new FakeClock()
  const server: { hearing: CacheLink['hearing'] } = { hearing: 'tracking' }
  const memory = new MemoryLayer({
    ...{ maxItems: 3, maxBytes: undefined, ttlMs: 1000, clock, hearing: () => server.hearing },
    ...options,
  })
  const kept = (value: unknown, more: Partial<Kept> = {}): Kept => ({
    ...{ value, freshUntilMs: clock.nowMs() + 60_000, expiresAtMs: 1, filledBy: 'read', keyspace: null, tags: [] },
    ...more,
  })
  const put = (key: string, value: unknown, more: Partial<Kept> = {}, bytes = 10) => {
    const asked = memory.ask(key)
    memory.keep(asked, kept(value, more), bytes)
    memory.done(asked)
  }
  return { clock, server, memory, kept, put, held: (key: string) => memory.get(key)?.value }
}

describe('MemoryLayer', () => {
  it('keeps what was asked for, up to a number of items, the last used ones', () => {
    const { memory, put, held } = create()
    for (const key of ['a', 'b', 'c']) put(key, key)
    assertEquals(held('a'), 'a')
    put('d', 'd')
    assertEquals([held('a'), held('b'), held('c'), held('d'), memory.size], ['a', undefined, 'c', 'd', 3])
  })

  it('keeps no more than so many bytes', () => {
    const { memory, put } = create({ maxItems: 100, maxBytes: 1000 })
    for (let at = 0; at < 10; at++) put(`k${at}`, at, {}, 100)
    assertEquals(memory.size, 3) // 300 each, with what an entry takes besides
  })

  it('keeps nothing longer than its ttl, nor than the value is fresh', async () => {
    const { clock, put, held } = create()
    put('long', 1)
    put('short', 2, { freshUntilMs: clock.nowMs() + 100 })
    put('over', 3, { freshUntilMs: clock.nowMs() })
    assertEquals([held('long'), held('short'), held('over')], [1, 2, undefined])
    await clock.advance(101)
    assertEquals([held('long'), held('short')], [1, undefined])
    await clock.advance(900)
    assertEquals(held('long'), undefined)
  })

  it('does not keep an answer whose key was changed after it was asked for', () => {
    const { memory, kept, held } = create()
    const asked = memory.ask('a')
    const other = memory.ask('a')
    memory.drop(['a'])
    memory.keep(asked, kept('old'), 1)
    memory.keep(other, kept('old'), 1)
    assertEquals(held('a'), undefined)
    const later = memory.ask('a')
    memory.keep(later, kept('new'), 1)
    assertEquals(held('a'), 'new')
  })

  it('is emptied when anything may have been changed, and keeps no answer that was on its way', () => {
    const { memory, kept, put, held } = create()
    put('a', 1)
    const asked = memory.ask('b')
    memory.drop(null)
    memory.keep(asked, kept(2), 1)
    assertEquals([held('a'), held('b'), memory.size], [undefined, undefined, 0])
  })

  it('keeps nothing that was asked for while no change is heard, also if one is by the time of the answer', () => {
    const { memory, server, kept, held } = create()
    server.hearing = 'nothing'
    const asked = memory.ask('a')
    server.hearing = 'tracking'
    memory.keep(asked, kept(1), 1)
    assertEquals(held('a'), undefined)
  })

  it('forgets the entries of a tag, and answers on their way, which may bear it', () => {
    const { memory, kept, put, held } = create()
    put('a', 1, { tags: ['x', 'y'] })
    put('b', 2, { tags: ['z'] })
    const asked = memory.ask('c')
    memory.drop(['prewarm:tag:y'])
    memory.keep(asked, kept(3, { tags: ['y'] }), 1)
    assertEquals([held('a'), held('b'), held('c')], [undefined, 2, undefined])
  })

  it('with no items keeps nothing and throws nothing', () => {
    const { put, held, memory } = create({ maxItems: 0 })
    put('a', 1)
    memory.drop(null)
    memory.dropTag('x')
    assertEquals([held('a'), memory.size], [undefined, 0])
  })
})
