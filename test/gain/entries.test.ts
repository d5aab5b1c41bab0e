import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { GAIN_BUCKET_MS, gainBucketOf, spread } from '../../src/gain/buckets.ts'
import { ReadEntries } from '../../src/gain/entries.ts'
import { told } from './support.ts'

const LATER = Number.MAX_SAFE_INTEGER
const NOW = 1000 * GAIN_BUCKET_MS
const at = (key: string, expiresAtMs = NOW) => told({ key, expiresAtMs })

describe('ReadEntries', () => {
  it('tells each warmed entry once, and again when it was warmed anew', () => {
    const entries = new ReadEntries(100)
    for (let times = 0; times < 5; times++) entries.note(at('a'))
    entries.note(at('b'))
    assertEquals(entries.take(10, LATER), [{ bucket: 1000, keyspace: 'films', entries: [`a@${NOW}`, `b@${NOW}`] }])
    entries.note(at('a'))
    assertEquals(entries.take(10, LATER), [])
    entries.note(at('a', NOW + 37))
    assertEquals(entries.take(10, LATER)[0]?.entries, [`a@${NOW + 37}`])
  })

  it('leaves out what warming has not filled, and what nobody can tell apart', () => {
    const entries = new ReadEntries(100)
    for (const other of [
      { filledBy: 'read' },
      { filledBy: 'unknown' },
      { expiresAtMs: 0 },
      { expiresAtMs: -1 },
    ] as const)
      entries.note(told(other))
    assertEquals(entries.waiting, 0)
  })

  it('groups by when entries expire and by keyspace, in groups of a bounded size; leaves out what lives too long', () => {
    const entries = new ReadEntries(100)
    for (let n = 0; n < 5; n++) entries.note(at(`a:${n}`))
    entries.note(at('b', NOW + GAIN_BUCKET_MS))
    entries.note(told({ key: 'c', keyspace: null, expiresAtMs: NOW }))
    entries.note(at('far', NOW + 10 * GAIN_BUCKET_MS))
    const groups = entries.take(2, NOW + 9 * GAIN_BUCKET_MS)
    assertEquals(
      groups.map(({ bucket, keyspace, entries: all }) => [bucket, keyspace, all.length]),
      [
        [1000, 'films', 2],
        [1000, 'films', 2],
        [1000, 'films', 1],
        [1001, 'films', 1],
        [1000, 'other', 1],
      ],
    )
  })

  it('is bounded, and tells later what there was no room for', () => {
    const entries = new ReadEntries(100)
    for (let n = 0; n < 1000; n++) entries.note(at(`k:${n}`))
    assertEquals([entries.waiting, entries.dropped], [100, 900])
    entries.take(1000, LATER)
    entries.note(at('k:500'))
    assertEquals(entries.waiting, 1)
  })

  it('remembers entries that are read all the time, however many others are', () => {
    const entries = new ReadEntries(100)
    let times = 0
    for (let n = 0; n < 1000; n++) {
      entries.note(at('hot'))
      entries.note(at(`k:${n}`))
      if (n % 20 === 0)
        times += entries
          .take(1000, LATER)
          .flatMap((group) => group.entries)
          .filter((one) => one === `hot@${NOW}`).length
    }
    assertEquals(times, 1)
  })
})

describe('spread', () => {
  it('gives each bucket its share, and nothing is lost', () => {
    const from = NOW + GAIN_BUCKET_MS / 2
    assertEquals([...spread(100, from, from)], [[1000, 100]])
    assertEquals(
      [...spread(100, from, from + GAIN_BUCKET_MS)],
      [
        [1000, 50],
        [1001, 50],
      ],
    )
    for (const count of [1, 2, 3, 7, 50, 999]) {
      const shares = [...spread(count, from, from + 3.3 * GAIN_BUCKET_MS)]
      assertEquals(
        shares.reduce((sum, [, part]) => sum + part, 0),
        count,
      )
      for (const [bucket, part] of shares) {
        assert(part > 0 && bucket >= gainBucketOf(from))
        assert(part <= Math.ceil(count / 3.3) + 1)
      }
    }
  })
})
