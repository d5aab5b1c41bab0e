import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { loadTask } from '../fakes/tasks.ts'
import { Desk } from './desk.ts'

describe('TieredCache writes', () => {
  it('set and delete are seen by other processes at once, in memory, too', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    assertEquals(await a.cache.set('k', { n: 1 }), 'written')
    assertEquals([await a.cache.get('k'), await b.cache.get('k')], [{ n: 1 }, { n: 1 }])
    assertEquals([(await a.cache.read('k')).tier, (await b.cache.read('k')).tier], ['memory', 'memory'])
    await b.cache.set('k', { n: 2 })
    assertEquals(await a.cache.get('k'), { n: 2 })
    assertEquals(
      [await a.cache.delete('k', 'other'), await b.cache.get('k'), await b.cache.has('k')],
      [1, undefined, false],
    )
  })

  it('a load that began before a delete or a set does not bring the old value back', async () => {
    for (const change of ['delete', 'set'] as const) {
      const desk = new Desk()
      const [a, b] = [desk.seat(), desk.seat()]
      const { load, waiting } = desk.held<string>()
      const slow = a.cache.get('k', { load })
      await turn()
      if (change === 'delete') await b.cache.delete('k')
      else await b.cache.set('k', 'new')
      waiting[0]?.resolve('old')
      assertEquals(await slow, 'old') // it was asked before the change
      const { value } = await a.cache.read('k', { load: () => 'new' })
      assertEquals([change, value, await b.cache.get('k')], [change, 'new', 'new'])
    }
  })

  it('a reader that comes after a delete does not join a load from before it', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const { load, calls, waiting } = desk.held<string>()
    const early = cache.get('k', { load })
    await turn()
    await cache.delete('k')
    const late = cache.get('k', { load })
    await turn()
    assertEquals(calls.length, 2)
    waiting[1]?.resolve('new')
    waiting[0]?.resolve('old')
    assertEquals([await early, await late], ['old', 'new'])
    await turn()
    assertEquals(await cache.get('k'), 'new')
  })

  it('a set with an older version does not replace a newer one', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    assertEquals(await cache.set('k', 'two', { version: 2 }), 'written')
    assertEquals(await cache.set('k', 'one', { version: 1 }), 'skipped_newer')
    assertEquals(await cache.get('k'), 'two')
    await assertRejects(() => cache.set('k', 'x', { version: 'soon' }), PrewarmError, 'Cannot read version')
  })

  it('invalidateTags ends all that bears one of them, everywhere, and what is being loaded', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    await a.cache.set('x', 1, { tags: ['red', 'round'] })
    await a.cache.set('y', 2, { tags: ['blue'] })
    const { load, waiting } = desk.held<number>()
    const loading = a.cache.get('z', { load, tags: ['red'] })
    assertEquals([await b.cache.get('x'), await b.cache.get('y')], [1, 2])
    await turn()
    await b.cache.invalidateTags('red', 'unknown')
    waiting[0]?.resolve(3)
    assertEquals(await loading, 3)
    for (const { cache } of [a, b])
      assertEquals([await cache.get('x'), await cache.get('y'), await cache.get('z')], [undefined, 2, undefined])
    assertEquals(await a.cache.get('x', { load: () => 4, tags: ['red'] }), 4)
    assertEquals(await b.cache.get('x'), 4)
  })

  it('a hash can bear no tags, and says so before anything is written', async () => {
    const desk = new Desk()
    const { cache, tier } = desk.seat({ tasks: [loadTask({ key: 'k:{id}', value: 'hash' })] })
    for (const work of [() => cache.set('k:1', { a: 1 }, { tags: ['t'] }), () => cache.get('k:1', { tags: ['t'] })])
      await assertRejects(work, PrewarmError, 'can bear no tags')
    await assertRejects(() => cache.set('k:1', 'text'), PrewarmError, "'k:1' can't be cached. Cannot encode hash")
    assertEquals(tier.calls, [])
  })

  it('setMany writes all, clear deletes what begins with a prefix, and nothing else', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    await cache.setMany(
      new Map([
        ['a:1', 1],
        ['a:2', 2],
        ['b:1', 3],
      ]),
      { ttl: '1m' },
    )
    assertEquals(await cache.clear('a:'), 2)
    assertEquals([...(await cache.getMany(['a:1', 'a:2', 'b:1']))], [['b:1', 3]])
    await assertRejects(() => cache.clear(''), PrewarmError, 'prefix is')
  })

  it('clear also ends what this process loads, or knows to be nowhere', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    const { load, waiting } = desk.held<string>()
    assertEquals(await cache.get('a:none', { load: () => null }), undefined)
    const early = cache.get('a:1', { load })
    await turn()
    assertEquals(await cache.clear('a:'), 0)
    waiting[0]?.resolve('old')
    assertEquals(await early, 'old')
    for (const key of ['a:1', 'a:none']) assertEquals(await cache.get(key, { load: () => 'new' }), 'new')
  })

  it('clear reaches what another process is loading, and what is known to be nowhere', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    const { load, waiting } = desk.held<string>()
    const slow = b.cache.get('a:1', { load })
    await b.cache.get('a:none', { load: () => null })
    await turn()
    await a.cache.clear('a:')
    waiting[0]?.resolve('old')
    await slow
    assertEquals(await a.cache.get('a:1'), undefined)
  })

  it('warm loads what nobody has asked for, and tells what became of it', async () => {
    const desk = new Desk()
    const [a, b] = [desk.seat(), desk.seat()]
    assertEquals(await a.cache.warm('k', { load: () => 1 }), 'written')
    const { value, tier, filledBy } = await b.cache.read('k')
    assertEquals([value, tier, filledBy], [1, 'redis', 'warm'])
    assertEquals(await a.cache.warm('none', { load: () => null }), 'no_value')
    const { load, waiting } = desk.held<number>()
    const slow = a.cache.warm('k', { load })
    await turn()
    await b.cache.set('k', 'newer')
    waiting[0]?.resolve(2)
    assertEquals([await slow, await a.cache.get('k')], ['skipped_newer', 'newer'])
    await assertRejects(() => a.cache.warm('free', {}), PrewarmError, 'Nothing loads')
    assertEquals(
      a.told.filter(({ tier }) => tier === 'origin'),
      [],
    ) // warming is no demand
  })

  it('what another program is heard to delete is forgotten, and a load in flight is refused', async () => {
    const desk = new Desk()
    const { cache } = desk.seat()
    await cache.set('k', 'old')
    await desk.clock.advance(2000)
    const { load, waiting } = desk.held<string>()
    const slow = cache.get('l', { load })
    await turn()
    desk.state.delete(['k'], null)
    cache.onDeleted(['k', 'l'])
    await turn()
    waiting[0]?.resolve('old')
    await slow
    assertEquals([await cache.get('k'), await cache.get('l')], [undefined, undefined])
  })
})
