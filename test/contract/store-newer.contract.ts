import { assert, assertEquals } from '@std/assert'
import { versionText } from '../../src/keyspace/version.ts'
import type { WriteOptions } from '../../src/store/types.ts'
import type { Outcome } from '../../src/types.ts'
import { type Body, entry, freshKey, hash, outcome, text } from './store.contract.ts'

/** What is stored, what comes, and whether it may replace the other. */
const PAIRS: [stored: string, comes: string, outcome: Outcome][] = [
  ['7', '8', 'written'],
  ['8', '7', 'skipped_newer'],
  ['8', '8', 'written'],
  ['9', '10', 'written'],
  ['10', '9', 'skipped_newer'],
  ['0010', '9', 'skipped_newer'],
  ['9007199254740993', '9007199254740992', 'skipped_newer'],
  // Postgres' text form and ISO, with microseconds and zones
  ['2024-05-01 10:00:00.123456+00', '2024-05-01T10:00:00.123457Z', 'written'],
  ['2024-05-01 10:00:00.123456+00', '2024-05-01T10:00:00.123456Z', 'written'],
  ['2024-05-01 10:00:00.123457+00', '2024-05-01T10:00:00.123456Z', 'skipped_newer'],
  ['2024-05-01 12:00:00+02', '2024-05-01T10:00:00Z', 'written'],
  ['2024-05-01 12:00:00.000001+02', '2024-05-01T10:00:00Z', 'skipped_newer'],
  ['2024-05-01 10:00:00-03:30', '2024-05-01T13:29:59.999999Z', 'skipped_newer'],
  ['2024-05-01 10:00:00-03:30', '2024-05-01T13:30:00Z', 'written'],
  ['2024-05-01 10:00:00', '2024-05-01T09:59:59.9Z', 'skipped_newer'],
  ['2024-05-01T10:00:00.5Z', '2024-05-01 10:00:00.49+00', 'skipped_newer'],
  ['2024-02-29 23:59:59.999999+00', '2024-03-01 00:00:00+00', 'written'],
  ['2000-02-29 00:00:00+00', '2000-02-28 23:59:59+00', 'skipped_newer'],
  ['2100-03-01 00:00:00+00', '2100-02-28 23:59:59.999999+00', 'skipped_newer'],
  // what can't be read as a version holds nobody up
  ['soon', '1', 'written'],
]

export function newerContract(test: (title: string, body: Body) => unknown): void {
  const newer = (versionField: string | null): Partial<WriteOptions> => ({ mode: 'newer', versionField })
  const places: [string, string | null, (version: string) => ReturnType<typeof text>][] = [
    ['in a hash field', 'v', (version) => hash('id', '1', 'v', version)],
    ['in a JSON property', 'v', (version) => text(JSON.stringify({ id: 1, v: version }))],
  ]
  for (const [place, field, encode] of places) {
    for (const [stored, comes, expected] of PAIRS) {
      test(`write with newer, version ${place}: ${comes} over ${stored} is ${expected}`, async (store) => {
        const key = freshKey()
        await outcome(store, entry(key, encode(stored)))
        const one = entry(key, encode(comes), { version: versionText(comes) })
        assertEquals(await outcome(store, one, newer(field)), expected)
        assertEquals(await store.read([key]), [asStored(encode(expected === 'written' ? comes : stored))])
      })
    }
  }

  test('write with newer, version beside the value: an older one is refused, an equal and a newer one are not', async (store) => {
    const key = freshKey()
    const attempt = (version: string) =>
      outcome(store, entry(key, text(`value ${version}`), { version: versionText(version) }), newer(null))
    assertEquals(await attempt('2024-05-01 10:00:00+00'), 'written')
    assertEquals(await attempt('2024-05-01 09:59:59.999999+00'), 'skipped_newer')
    assertEquals(await store.read([key]), [{ type: 'string', value: 'value 2024-05-01 10:00:00+00' }])
    assertEquals(await attempt('2024-05-01T10:00:00Z'), 'written')
    assertEquals(await attempt('2024-05-01 12:00:01+02'), 'written')
    assertEquals(await store.read([key]), [{ type: 'string', value: 'value 2024-05-01 12:00:01+02' }])
  })

  test('write with newer reads a version that is a number in the JSON', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, text('{"v":1714557600123456}')))
    const attempt = (version: string) => outcome(store, entry(key, text(`{"v":${version}}`), { version }), newer('v'))
    assertEquals(await attempt('1714557600123455'), 'skipped_newer')
    assertEquals(await attempt('1714557600123457'), 'written')
  })

  test('write with newer replaces what is of another type or holds no version', async (store) => {
    const olds = [text('plain'), text('[]'), text('5'), text('{"v":null}'), text('{}'), hash('id', '1')]
    for (const old of olds) {
      for (const fresh of [hash('v', '1'), text('{"v":"1"}')]) {
        const key = freshKey()
        await outcome(store, entry(key, old))
        assertEquals(await outcome(store, entry(key, fresh, { version: '1' }), newer('v')), 'written')
        assertEquals(await store.read([key]), [asStored(fresh)])
      }
    }
  })

  test('write with newer leaves the TTL of what it skips alone', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, hash('v', '9'), { ttlMs: 10_000 }))
    const one = entry(key, hash('v', '8'), { version: '8', ttlMs: 900_000 })
    assertEquals(await outcome(store, one, newer('v')), 'skipped_newer')
    const [ttlMs] = await store.ttlsMs([key])
    assert((ttlMs as number) > 0 && (ttlMs as number) <= 10_000, `the TTL is ${ttlMs}`)
  })

  test('write with newer takes an older version once the newer one has expired', async (store, { advance }) => {
    if (advance === undefined) return
    for (const field of ['v', null]) {
      const key = freshKey()
      const attempt = (version: string) =>
        outcome(store, entry(key, hash('v', version), { version, ttlMs: 1000 }), newer(field))
      assertEquals(await attempt('9'), 'written')
      assertEquals(await attempt('8'), 'skipped_newer')
      await advance(1001)
      assertEquals(await attempt('8'), 'written')
    }
  })
}

function asStored(encoded: ReturnType<typeof text>) {
  if (encoded.type === 'string') return encoded
  const pairs: [string, string][] = []
  for (let at = 0; at < encoded.fields.length; at += 2)
    pairs.push([encoded.fields[at] as string, encoded.fields[at + 1] as string])
  return { type: 'hash' as const, fields: Object.fromEntries(pairs) }
}
