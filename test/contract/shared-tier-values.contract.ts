import { describe } from 'node:test'
import { assert, assertEquals, assertNotEquals } from '@std/assert'
import type { Found, SharedTier } from '../../src/cache/tier.ts'
import {
  ask,
  fill,
  fillOf,
  leased,
  set,
  stateOf,
  type TiersUnderTest,
  text,
  textAt,
  withTiers,
} from '../support/shared-tier.ts'

/** Keys that a careless tier would mistake for something else. */
const ODD_KEYS = ['a,b', 'a b', '*', 'k[1]?', 'a\\b', 'é', '💥', '日本', '"', "'", '\n', '\r\n', 'a'.repeat(300), '{x}']
const ODD_VALUES = [
  '',
  ' ',
  'null',
  '0',
  '\n',
  '\u0001',
  '\u0001x',
  '\u0001{}',
  '\u0001{no json}\n1',
  '💥',
  '\u0000',
  '\r\n',
]

/** What all {@linkcode SharedTier}s do: values, versions, tags, and what is heard of them. */
export function sharedTierValuesContract(name: string, create: () => Promise<TiersUnderTest>): void {
  const test = withTiers(create)

  describe(`${name}: values`, () => {
    test('a hash is read as a hash, a text as a text, whatever was asked for', async ({ one, other }) => {
      const fields = ['a', '1', '__proto__', 'x', 'constructor', '', 'é', '💥', '', 'empty name']
      await other.set(
        [
          { key: 'h', ttlMs: 60_000, encoded: { type: 'hash', fields } },
          { key: 't', ttlMs: 60_000, encoded: text('{}') },
        ],
        { filledBy: 'unknown' },
      )
      for (const form of ['hash', 'string'] as const) {
        const [hash, string] = await one.read([ask('h', true, form), ask('t', true, form)])
        assert(hash?.state === 'held' && hash.value.type === 'hash')
        assertEquals(Object.entries(hash.value.fields).flat(), fields)
        assert(string?.state === 'held')
        assertEquals(string.value, { type: 'string', value: '{}' })
      }
    })

    test('a wide hash replaces one of other fields, and a text', async ({ one }) => {
      const wide = Array.from({ length: 5000 }, (_, index) => String(index))
      await one.set([{ key: 'h', ttlMs: 60_000, encoded: { type: 'hash', fields: ['old', '1'] } }], {
        filledBy: 'read',
      })
      await set(one, 't', 'old')
      for (const key of ['h', 't']) {
        await one.set([{ key, ttlMs: 60_000, encoded: { type: 'hash', fields: wide } }], { filledBy: 'read' })
        const found = await one.read([ask(key, false, 'hash')])
        assert(found[0]?.state === 'held' && found[0].value.type === 'hash')
        assertEquals(Object.keys(found[0].value.fields).length, 2500)
      }
    })

    test('odd keys and values come back as they are', async ({ one, other }) => {
      for (const key of ODD_KEYS) {
        const lease = await leased(one, key)
        assertEquals(await stateOf(other, key, true), 'waiting', key)
        assertEquals(await fill(one, lease, fillOf(key, key)), 'written', key)
        assertEquals(await textAt(other, key), key)
        await other.delete([key])
        assertEquals(await fill(one, lease, fillOf(key, key), true), 'skipped_newer', key)
      }
      for (const value of ODD_VALUES) {
        await set(one, 'v', value)
        assertEquals(await textAt(other, 'v'), value, JSON.stringify(value))
        assertEquals(await fill(one, await one.ticket(), fillOf('v', 'x')), 'skipped_present', JSON.stringify(value))
      }
    })

    test('what another program wrote is read, with its TTL or without', async ({ one, put }) => {
      await put('a', { type: 'string', value: '1' })
      await put('b', { type: 'hash', fields: { x: '2' } }, 30_000)
      const [a, b] = await one.read([ask('a'), ask('b')])
      assertEquals(a, {
        ...{ state: 'held', value: { type: 'string', value: '1' } },
        ...{ leftMs: Number.POSITIVE_INFINITY, expiresAtMs: 0, filledBy: 'unknown' },
      } as Found)
      assert(b?.state === 'held' && b.leftMs > 0 && b.leftMs <= 30_000 && b.expiresAtMs > 0)
    })

    test('versions: an older one does not replace a newer one, the same one and none do', async ({ one, other }) => {
      assertEquals(await set(one, 'a', '9', '9'), 'written')
      assertEquals(await set(other, 'a', '10', '10'), 'written')
      assertEquals(await set(one, 'a', '9 again', '9'), 'skipped_newer')
      assertEquals(await fill(one, await one.ticket(), { ...fillOf('a', '9'), version: '9' }, true), 'skipped_newer')
      assertEquals(await textAt(one, 'a'), '10')
      assertEquals(await set(one, 'a', '10 again', '10'), 'written')
      assertEquals(await fill(one, await one.ticket(), { ...fillOf('a', '11'), version: '11' }, true), 'written')
      assertEquals(await set(one, 'a', '10', '10'), 'skipped_newer')
      assertEquals(await set(one, 'a', 'free'), 'written')
      assertEquals(await set(one, 'a', '1', '1'), 'written')
      await one.delete(['a'])
      assertEquals(await set(one, 'a', '0', '0'), 'written')
    })

    test('scan finds what begins with a prefix to the letter, and nothing of prewarm’s own', async ({ one }) => {
      const keys = ['p:1', 'p:2', 'p*3', 'p[1]', 'p?', 'q:1', 'p\\x', 'prewarm']
      for (const key of keys) await set(one, key, '1')
      await leased(one, 'p:lease')
      await one.tagVersions(['p'])
      const scanned = async (prefix: string) => {
        const found: string[] = []
        for await (const page of one.scan(prefix)) found.push(...page)
        return [...new Set(found)].sort()
      }
      assertEquals(await scanned('p:'), ['p:1', 'p:2'])
      assertEquals(await scanned('p*'), ['p*3'])
      assertEquals(await scanned('p['), ['p[1]'])
      assertEquals(await scanned('p?'), ['p?'])
      assertEquals(await scanned('p\\'), ['p\\x'])
      assertEquals(await scanned('p'), keys.filter((key) => key !== 'q:1').sort())
      assertEquals(await scanned('none'), [])
    })
  })

  describe(`${name}: tags`, () => {
    const header = (tags: Record<string, string>, value: string) => `\u0001${JSON.stringify(tags)}\n${value}`

    test('tagVersions are the same for all, and others once invalidated', async ({ one, other }) => {
      assertEquals(await one.tagVersions([]), [])
      const [a, b] = await one.tagVersions(['a', 'b'])
      assertEquals(await other.tagVersions(['b', 'a']), [b, a] as string[])
      await other.invalidateTags([])
      await other.invalidateTags(['a'])
      const [newA, sameB] = await one.tagVersions(['a', 'b'])
      assertNotEquals(newA, a)
      assertEquals(sameB, b)
    })

    test('what bears an invalidated tag is not there, and is filled again', async ({ one, other }) => {
      const [a = '', b = ''] = await one.tagVersions(['a', 'b'])
      const value = header({ a, b }, 'v')
      await fill(one, await leased(one, 'k'), fillOf('k', value))
      assertEquals(await textAt(other, 'k'), value)
      await other.invalidateTags(['b'])
      assertEquals(await stateOf(one, 'k'), 'missing')
      // Whatever form is asked for.
      assertEquals((await one.read([ask('k', false, 'hash')]))[0]?.state, 'missing')
      const lease = await leased(one, 'k')
      const [b2 = ''] = await one.tagVersions(['b'])
      assertEquals(await fill(one, lease, fillOf('k', header({ a, b: b2 }, 'new'))), 'written')
      assertEquals(await textAt(other, 'k'), header({ a, b: b2 }, 'new'))
    })

    test('a tag that is invalidated during the load is never served', async ({ one, other }) => {
      const lease = await leased(one, 'k')
      const [a = ''] = await one.tagVersions(['a'])
      await other.invalidateTags(['a'])
      await fill(one, lease, fillOf('k', header({ a }, 'old')))
      assertEquals(await stateOf(one, 'k'), 'missing')
      assertEquals(await stateOf(other, 'k', true), 'leased')
    })

    test('tags of odd names', async ({ one }) => {
      const tags = ['"', '\\', '\n', 'é', '💥', '__proto__', 'a,b', ' ', '{}']
      const versions = await one.tagVersions(tags)
      for (const [index, tag] of tags.entries()) {
        const bears = Object.fromEntries([[tag, versions[index] as string]])
        await set(one, 'k', header(bears, 'v'))
        assertEquals(await stateOf(one, 'k'), 'held', JSON.stringify(tag))
        await one.invalidateTags([tag])
        assertEquals(await stateOf(one, 'k'), 'missing', JSON.stringify(tag))
      }
    })
  })

  describe(`${name}: hearing`, () => {
    test('what others change is heard, what one changes itself is not', async (tiers) => {
      const { one, other, heard, until, put, drop } = tiers
      const hears = async (key: string, change: () => Promise<unknown>) => {
        const from = heard.length
        await change()
        await until(() => heard.slice(from).some((keys) => keys?.includes(key)))
      }
      assertEquals(one.hearing, 'tracking')
      for (const key of ['k', 'k,1', 'é💥']) {
        const lease = await leased(other, key)
        await one.read([ask(key, false)])
        await hears(key, () => fill(other, lease, fillOf(key, '1')))
        await one.read([ask(key, false)])
        await hears(key, () => set(other, key, '2'))
        // Not read, but written: it may be kept all the same.
        await set(one, key, '3')
        await hears(key, () => other.delete([key]))
        await fill(one, await one.ticket(), fillOf(key, '4'))
        await hears(key, () => put(key, { type: 'string', value: '5' }))
        await one.read([ask(key, false)])
        await hears(key, () => drop(key))
        // "The origin has none" is kept, too.
        await fill(one, await leased(one, key), fillOf(key, null))
        await hears(key, () => other.delete([key]))
        await fill(other, await leased(other, key), fillOf(key, null))
        await one.read([ask(key, false)])
        await hears(key, () => other.delete([key]))
        await fill(one, await leased(one, key), fillOf(key, null))
        await hears(key, () => set(other, key, '6'))
      }
      const tag = 'prewarm:tag:a'
      await one.tagVersions(['a'])
      await hears(tag, () => other.invalidateTags(['a']))
      const [a = ''] = await other.tagVersions(['a'])
      await set(other, 'tagged', `\u0001${JSON.stringify({ a })}\nv`)
      await one.read([ask('tagged', false)])
      await hears(tag, () => other.invalidateTags(['a']))

      // Own changes: by the time that a later one of the other's is heard, they would have been, too.
      const from = heard.length
      await set(one, 'own', '1')
      await set(one, 'own', '2')
      await fill(one, await one.ticket(), fillOf('own', '3'), true)
      await hears('own', () => set(other, 'own', '4'))
      assertEquals(heard.slice(from).filter((keys) => keys?.includes('own')).length, 1)
    })

    test('an emptied server is heard', async ({ one, heard, flush, until }) => {
      await set(one, 'a', '1')
      await flush()
      await until(() => heard.includes(null))
      assertEquals(await stateOf(one, 'a'), 'missing')
    })

    test('heard marks what another program deleted, and deletes what landed since', async (tiers) => {
      const { one, other, put, pass } = tiers
      const late = await leased(one, 'a')
      await put('a', { type: 'string', value: 'old' })
      await other.heard(['a'])
      assertEquals([await stateOf(one, 'a'), await fill(one, late, fillOf('a', 'old'))], ['missing', 'skipped_newer'])
      // The second who hears of the same only marks: what came after the first is new.
      await set(one, 'a', 'new')
      await other.heard(['a'])
      assertEquals(await textAt(one, 'a'), 'new')
      // The first tickets of a server lie a second ahead.
      await pass(2500)
      await other.heard(['a'])
      assertEquals(await stateOf(one, 'a'), 'missing')
    })
  })
}
