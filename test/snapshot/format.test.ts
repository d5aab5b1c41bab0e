import { describe, it } from 'node:test'
import { assert, assertEquals, assertNotEquals, assertThrows } from '@std/assert'
import { http, load, sql } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { configVersion } from '../../src/snapshot/config-version.ts'
import { formatSnapshot, parseHeader, parseSnapshot } from '../../src/snapshot/format.ts'
import { keptReason } from '../../src/snapshot/keep.ts'
import { checkTarget } from '../../src/snapshot/target.ts'
import { configOf } from '../fakes/tasks.ts'

const SAVED_MS = 1_700_000_000_000
const entries = [
  { key: 'film:1', score: 12.5, ttlMs: 3_600_000 },
  { key: 'a "quoted"\nkey\u2028 of ünïcode', score: 3, ttlMs: -1 },
  { key: 'film:2', score: 1e-9, ttlMs: null },
]
const text = formatSnapshot({ config: 'abcd', savedAtMs: SAVED_MS, entries })
const lines = text.split('\n')

/** The message of the error that reading `broken` ends with. */
function refusal(broken: string): string {
  const error = assertThrows(() => parseSnapshot(broken, 'hot.ndjson'), PrewarmError)
  assertEquals(error.code, 'SNAPSHOT_INVALID')
  return error.message
}

describe('the text of a snapshot', () => {
  it('is a head and a line a key, and is read as it was written', () => {
    assertEquals(
      lines[0],
      '{"prewarm":"snapshot","version":1,"config":"abcd","saved_at":"2023-11-14T22:13:20.000Z","keys":3}',
    )
    assertEquals(lines[1], '{"key":"film:1","score":12.5,"ttl_ms":3600000}')
    assertEquals([lines.length, lines.at(-1)], [5, ''])
    assertEquals(parseSnapshot(text, 'x'), { config: 'abcd', savedAtMs: SAVED_MS, keys: 3, entries })
    assertEquals(parseHeader(lines[0] as string, 'x'), { config: 'abcd', savedAtMs: SAVED_MS, keys: 3 })
  })

  it('may have no keys', () => {
    const empty = formatSnapshot({ config: 'abcd', savedAtMs: SAVED_MS, entries: [] })
    assertEquals(parseSnapshot(empty, 'x').entries, [])
  })

  it('is refused wherever it is cut', () => {
    for (let at = 0; at < text.length; at++) {
      const message = refusal(text.slice(0, at))
      assert(/^hot\.ndjson, line [1-5]: expected .*prewarm snapshot save/s.test(message), message)
    }
  })

  it('is refused with what is wrong, and where', () => {
    const withLine = (at: number, line: string) => lines.with(at, line).join('\n')
    const cases: [broken: string, line: number, told: string][] = [
      ['', 1, 'it is empty'],
      ['\u0000\u0001', 1, 'expected {"prewarm":"snapshot"'],
      ['{"a":1}\n', 1, '"prewarm":"snapshot", it is not there'],
      [text.replace('"version":1', '"version":2'), 1, 'written by another version of prewarm'],
      [text.replace('"config":"abcd"', '"config":7'), 1, '"config" as text, it is 7'],
      [text.replace('2023-11-14T', 'yesterday '), 1, '"saved_at" as a time'],
      [text.replace('"keys":3', '"keys":-1'), 1, '"keys" from 0 to 1000000, it is -1'],
      [text.replace('"keys":3', '"keys":1e9'), 1, '"keys" from 0 to 1000000'],
      [text.replace('"keys":3', '"keys":4'), 5, '4 keys, as line 1 says; there are 3'],
      [text.replace('"keys":3', '"keys":2'), 4, '2 keys, as line 1 says; there are 3'],
      [withLine(2, '[]'), 3, '"key" as text'],
      [withLine(2, 'null'), 3, 'expected {"key"'],
      [withLine(3, '{"key":"","score":1,"ttl_ms":null}'), 4, '"key" as text of 1 to 4096 characters, it is ""'],
      [withLine(3, `{"key":"${'k'.repeat(5000)}","score":1,"ttl_ms":null}`), 4, 'characters, it is "kkk'],
      [withLine(3, '{"key":"a","score":"1","ttl_ms":null}'), 4, '"score" as a number, it is "1"'],
      [withLine(3, '{"key":"a","score":1,"ttl_ms":-2}'), 4, '"ttl_ms" as null or a number from -1, it is -2'],
      [withLine(3, lines[1] as string), 4, 'each key once, "film:1" came before'],
    ]
    for (const [broken, line, told] of cases) {
      const message = refusal(broken)
      assert(message.startsWith(`hot.ndjson, line ${line}: `) && message.includes(told), `${message} / ${told}`)
      assert(message.length < 300, message)
    }
  })
})

describe('what a configuration’s keys mean', () => {
  const values = (keys: readonly string[]) => new Map(keys.map((key) => [key, key]))
  const films = load({ key: 'film:{id}', load: values })
  const version = (tasks: Parameters<typeof configOf>[0], rest = {}) => configVersion(configOf(tasks, rest).tasks)

  it('is the same whatever else changes', async () => {
    const one = await version({ films, rates: http({ key: 'rate:{id}', url: 'https://a.example/{id}' }) })
    assert(/^[0-9a-f]{16}$/.test(one))
    const other = { rates: http({ key: 'rate:{id}', url: 'https://b.example/{id}', ttl: '5m' }), films }
    assertEquals(await version(other, { maxOriginRps: 7 }), one)
  })

  it('changes with names, templates, kinds and forms of value', async () => {
    const one = await version({ films })
    for (const tasks of [
      { movies: films },
      { films: load({ key: 'films:{id}', load: values }) },
      { films: load({ key: 'film:{id}', value: 'hash', load: values }) },
      { films: http({ key: 'film:{id}', url: 'https://a.example/{id}' }) },
      { films, more: sql({ key: 'more:{id}', value: 'hash', query: 'select 1' }) },
    ])
      assertNotEquals(await version(tasks), one)
  })
})

describe('which list is kept', () => {
  const old = { config: 'a', savedAtMs: SAVED_MS, keys: 1000 }
  const now = { config: 'a', nowMs: SAVED_MS + 60_000, limit: 10_000 }
  const isKept = (keys: number, rest: Partial<typeof now> = {}, before: typeof old | null = old) =>
    keptReason(before, { ...now, keys, ...rest }) !== null

  it('never gives way to an empty one', () => {
    assert(isKept(0))
    assert(isKept(0, { nowMs: SAVED_MS + 30 * 86_400_000 }))
    assert(isKept(0, { config: 'b' }))
    assert(!isKept(0, {}, null))
    assert(!isKept(0, {}, { ...old, keys: 0 }))
  })

  it('gives way to one of at least half its keys, to any after a day, and to one of another configuration', () => {
    assert(isKept(499))
    assert(!isKept(500))
    assert(isKept(1, { nowMs: SAVED_MS + 24 * 3_600_000 - 1 }))
    assert(!isKept(1, { nowMs: SAVED_MS + 24 * 3_600_000 }))
    assert(!isKept(1, { config: 'b' }))
  })

  it('is not held against one that was asked to be short', () => {
    assert(!isKept(100, { limit: 100 }))
    assert(isKept(49, { limit: 100 }))
  })
})

describe('where a snapshot is kept', () => {
  it('is a file or a name in Redis', () => {
    for (const place of ['hot.ndjson', '/tmp/a b.gz', 'redis:hot', 'redis:a.b-c_1'])
      assertEquals(checkTarget(place), place)
    for (const place of ['', 'redis:', 'redis:a b', `redis:${'a'.repeat(65)}`, 'redis:a:b']) {
      assertEquals(assertThrows(() => checkTarget(place), PrewarmError).code, 'USAGE')
    }
  })
})
