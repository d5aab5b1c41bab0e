import { describe } from 'node:test'
import { assert, assertEquals, assertNotEquals } from '@std/assert'
import type { Found, Lease, SharedTier } from '../../src/cache/tier.ts'
import {
  ask,
  fill,
  fillOf,
  leased,
  one,
  set,
  stateOf,
  type TiersUnderTest,
  textAt,
  withTiers,
} from '../support/shared-tier.ts'

/** What all {@linkcode SharedTier}s do: who may load, and what is written of it. */
export function sharedTierContract(name: string, create: () => Promise<TiersUnderTest>): void {
  const test = withTiers(create)

  describe(`${name}: read and leases`, () => {
    test('read tells what is not there, and leases it to one who wants it', async ({ one, other }) => {
      assertEquals(await one.read([]), [])
      assertEquals(await one.read([ask('a', false), ask('b', false, 'hash')]), [
        { state: 'missing' },
        { state: 'missing' },
      ])
      await leased(one, 'a')
      const found = await other.read([ask('a'), ask('b'), ask('c', false), ask('a', false)])
      assertEquals(
        found.map(({ state }) => state),
        ['waiting', 'leased', 'missing', 'missing'],
      )
      assert(found[0]?.state === 'waiting' && found[0].leftMs > 0 && found[0].leftMs <= 5000)
    })

    test('leases of one read are one load’s, those of two are not', async ({ one }) => {
      const [a, b] = await one.read([ask('a'), ask('b')])
      assert(a?.state === 'leased' && b?.state === 'leased')
      assertEquals(a.lease, b.lease)
      assertNotEquals((await leased(one, 'c')).token, a.lease.token)
    })

    test('release makes room for the next, and leaves others’ leases alone', async ({ one, other }) => {
      const lease = await leased(one, 'a')
      await other.release(['a'], { token: 'not-mine', ticket: lease.ticket })
      await other.release(['a'], { token: '', ticket: lease.ticket })
      assertEquals(await stateOf(other, 'a', true), 'waiting')
      await one.release(['a', 'none'], lease)
      await leased(other, 'a')
    })

    test('lease is taken of a key that is there, too, once', async ({ one, other }) => {
      await set(one, 'a', '1')
      const lease = await one.lease('a')
      assert(lease !== null && lease.token !== '' && Number(lease.ticket) > 0)
      assertEquals(await other.lease('a'), null)
      assertEquals(await fill(one, lease, fillOf('a', '2'), true), 'written')
      assertEquals(await textAt(other, 'a'), '2')
      assert((await other.lease('a')) !== null)
    })

    test('tickets grow', async ({ one, other }) => {
      let last = 0
      for (let round = 0; round < 10; round++) {
        const { token, ticket } = await (round % 2 === 0 ? one : other).ticket()
        assertEquals(token, '')
        assert(Number(ticket) > last, `${ticket} after ${last}`)
        last = Number(ticket)
      }
    })

    test('many keys in one call: each has its answer', async ({ one, other }) => {
      const keys = Array.from({ length: 777 }, (_, index) => `many:${index}`)
      const lease = await one.ticket()
      const filled = await one.fill(
        keys.filter((_, index) => index % 3 === 0).map((key) => fillOf(key, key)),
        { lease, replace: false, filledBy: 'read' },
      )
      assertEquals(new Set(filled.map(({ outcome }) => outcome)), new Set(['written']))
      const found = await other.read(keys.map((key) => ask(key)))
      for (const [index, told] of found.entries()) {
        if (index % 3 !== 0) assertEquals(told.state, 'leased')
        else assert(told.state === 'held' && told.value.type === 'string' && told.value.value === keys[index])
      }
      const pages: string[] = []
      for await (const page of one.scan('many:')) pages.push(...page)
      assertEquals(new Set(pages).size, 259)
      assertEquals(await one.delete(keys), 259)
      assertEquals(
        new Set((await one.read(keys.map((key) => ask(key, false)))).map(({ state }) => state)),
        new Set(['missing']),
      )
    })
  })

  describe(`${name}: fill`, () => {
    test('fill writes what was loaded, with its time and who filled it, and ends the lease', async ({ one, other }) => {
      for (const filledBy of ['read', 'warm', 'unknown'] as const) {
        const lease = await leased(one, filledBy)
        const [told] = await one.fill([fillOf(filledBy, 'v')], { lease, replace: false, filledBy })
        const found = await otherFound(other, filledBy)
        assertEquals([told?.outcome, found.filledBy], ['written', filledBy])
        assertEquals(told?.expiresAtMs, found.expiresAtMs)
        assert(found.leftMs > 0 && found.leftMs <= 60_000, `${found.leftMs} ms are left`)
        assert((await other.lease(filledBy)) !== null, 'the lease is still there')
      }
    })

    test('what expired is not there any more', async ({ one, pass }) => {
      await fill(one, await leased(one, 'a'), fillOf('a', 'v', 40))
      await fill(one, await leased(one, 'b'), fillOf('b', null, 40))
      await pass(60)
      assertEquals([await stateOf(one, 'a'), await stateOf(one, 'b')], ['missing', 'missing'])
    })

    test('fill that may not replace leaves what is there', async ({ one, other }) => {
      const ticket = await one.ticket()
      assertEquals(await fill(other, await leased(other, 'a'), fillOf('a', 'theirs')), 'written')
      assertEquals(await fill(one, ticket, fillOf('a', 'mine')), 'skipped_present')
      assertEquals(await textAt(one, 'a'), 'theirs')
    })

    test('fill of a load that began before a delete, a set or an emptied server is refused', async (tiers) => {
      const { one, other, flush } = tiers
      const changes: Record<string, (key: string) => Promise<unknown>> = {
        delete: (key) => other.delete([key]),
        'own delete': (key) => one.delete([key]),
        'delete of what was never there': (key) => other.delete([key, 'x']),
        set: (key) => set(other, key, 'newer'),
        heard: (key) => other.heard([key]),
        flush: () => flush(),
      }
      for (const [what, change] of Object.entries(changes)) {
        for (const replace of [false, true]) {
          for (const begin of [(key: string) => leased(one, key), () => one.ticket()]) {
            const key = `${what}:${replace}:${begin.length}`
            const lease = await begin(key)
            await change(key)
            assertEquals(await fill(one, lease, fillOf(key, 'old'), replace), 'skipped_newer', key)
            assertEquals(await textAt(one, key), what === 'set' ? 'newer' : null, key)
            // Of another key it is written, unless nobody can know.
            const beside = await fill(one, lease, fillOf(`${key}:beside`, 'v'), replace)
            assertEquals(beside, what === 'flush' ? 'skipped_newer' : 'written', key)
          }
        }
      }
    })

    test('barrier refuses every load in flight, and none that begins after it', async ({ one, other }) => {
      const [early, ticket] = [await leased(one, 'a'), await one.ticket()]
      await other.barrier()
      assertEquals(await fill(one, early, fillOf('a', 'old')), 'skipped_newer')
      assertEquals(await fill(one, ticket, fillOf('b', 'old'), true), 'skipped_newer')
      assertEquals(await fill(one, await leased(one, 'a'), fillOf('a', 'new')), 'written')
      assertEquals(await textAt(other, 'a'), 'new')
    })

    test('fill of a load that began after a delete is written', async ({ one, other }) => {
      await leased(one, 'a')
      await other.delete(['a'])
      assertEquals(await fill(other, await leased(other, 'a'), fillOf('a', 'new')), 'written')
      assertEquals(await textAt(one, 'a'), 'new')
    })

    test('fill without its lease is refused where another has it, or has written', async (tiers) => {
      const { one, other, expireLease } = tiers
      const first = await leased(one, 'a')
      await expireLease('a')
      const second = await leased(other, 'a')
      assertEquals(await fill(one, first, fillOf('a', 'first')), 'skipped_newer')
      assertEquals(await stateOf(one, 'a', true), 'waiting')
      assertEquals(await fill(other, second, fillOf('a', 'second')), 'written')
      assertEquals(await fill(one, first, fillOf('a', 'first'), true), 'skipped_newer')
      assertEquals(await textAt(one, 'a'), 'second')

      // Whoever wrote it, as another program, marked nothing.
      await tiers.put('c', { type: 'string', value: 'old' })
      const refresh = await one.lease('c')
      await expireLease('c')
      await tiers.put('c', { type: 'string', value: 'theirs' })
      assertEquals(await fill(one, refresh as Lease, fillOf('c', 'mine'), true), 'skipped_newer')

      const late = await leased(one, 'b')
      await expireLease('b')
      assertEquals(await fill(one, late, fillOf('b', 'late')), 'written')
    })

    test('fill without any lease goes before those who wait only where it replaces', async ({ one, other }) => {
      const lease = await leased(one, 'a')
      const ticket = await other.ticket()
      assertEquals(await fill(other, ticket, fillOf('a', 'other')), 'skipped_newer')
      assertEquals(await fill(other, ticket, fillOf('a', 'other'), true), 'written')
      assertEquals(await fill(one, lease, fillOf('a', 'late'), true), 'skipped_newer')
      assertEquals(await textAt(one, 'a'), 'other')
    })

    test('fill that replaces leaves what was filled since it began', async ({ one, other }) => {
      await set(one, 'a', '0')
      const early = await one.ticket()
      assertEquals(await fill(other, await other.ticket(), fillOf('a', 'later'), true), 'written')
      assertEquals(await fill(one, early, fillOf('a', 'early'), true), 'skipped_newer')
      assertEquals(await textAt(one, 'a'), 'later')
    })

    test('"the origin has none" is remembered, replaced by a value, and forgotten by a delete', async (tiers) => {
      const { one, other } = tiers
      const none = fillOf('a', null, 5000)
      assertEquals(await fill(one, await leased(one, 'a'), none), 'written')
      const found = await oneOf(other, 'a')
      assert(found.state === 'absent' && found.leftMs > 0 && found.leftMs <= 5000, JSON.stringify(found))
      assertEquals(await stateOf(other, 'a', true), 'absent')
      assertEquals(await set(other, 'a', 'v'), 'written')
      assertEquals(await textAt(one, 'a'), 'v')
      assertEquals(await fill(one, await one.ticket(), none, true), 'written')
      assertEquals(await stateOf(other, 'a'), 'absent')
      assertEquals(await other.delete(['a']), 0)
      assertEquals(await stateOf(one, 'a'), 'missing')
      await fill(one, await leased(one, 'a'), none)
      assertEquals(await fill(one, await one.ticket(), fillOf('a', 'v'), true), 'written')
      await other.delete(['a'])
      assertEquals(await stateOf(one, 'a'), 'missing')
    })
  })

  async function otherFound(tier: SharedTier, key: string): Promise<Extract<Found, { state: 'held' }>> {
    const found = await oneOf(tier, key)
    assert(found.state === 'held', `'${key}' is ${found.state}`)
    return found
  }
  const oneOf = (tier: SharedTier, key: string) => one(tier, ask(key, false))
}
