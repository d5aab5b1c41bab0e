import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { SqlOptions } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { RowSet } from '../../src/origin/sql-client.ts'
import { SqlOrigin } from '../../src/origin/sql-read.ts'
import type { ReadOptions } from '../../src/origin/types.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { sqlTask } from '../fakes/tasks.ts'

function originOf(options: Partial<SqlOptions>, answer: (text: string) => RowSet) {
  const client = new FakeSqlClient()
  const texts: string[] = []
  client.answer = ({ before, after }) => {
    texts.push(`${before}…${after}`)
    return answer(`${before}…${after}`)
  }
  const origin = new SqlOrigin(sqlTask(options), client)
  const read = (keys: string[]) => origin.read({ kind: 'keys', keys }, OPTIONS)
  return { client, texts, read }
}

const OPTIONS: ReadOptions = {
  params: {},
  timeoutMs: 500,
  signal: new AbortController().signal,
  requestIntervalMs: 0,
  traceId: '1'.repeat(32),
}
const rows = (...ids: (string | null)[]): RowSet => ({ columns: ['id', 'v'], rows: ids.map((id) => [id, 'x']) })
const postgres = (detail: string) => new PrewarmError('ORIGIN_FAILED', 'Postgres: no', { detail })

describe('SqlOrigin, keys by name', () => {
  it('asks for all of them in one request', async () => {
    const { texts, read } = originOf({}, () => rows('2', '1'))
    const { records, failures, requests, done } = await read(['k:1', 'k:2', 'k:1'])
    assertEquals([records.map(({ key }) => key), failures, requests, done], [['k:2', 'k:1'], [], 1, true])
    assertEquals(texts, [`select q.* from (…) q where q."id" in ('1', '2')`])
  })

  it('compares all columns of a key, under their own names', async () => {
    const answer = { columns: ['a', 'odd'], rows: [['1', 'x:y']] }
    const { texts, read } = originOf({ key: '{a}:{odd}:{a}' }, () => answer)
    const { records } = await read(['1:x%3Ay:1', '2:z:2'])
    assertEquals(
      records.map(({ key }) => key),
      ['1:x%3Ay:1'],
    )
    assertEquals(texts, [`select q.* from (…) q where (q."a", q."odd") in (('1', 'x:y'), ('2', 'z'))`])
  })

  it('quotes what a key holds', async () => {
    const { texts, read } = originOf({}, () => rows())
    await read(["k:o'brien", 'k:back%5Cslash', "k:%5C' or true) --", 'k:é😀'])
    const expected = [`'o''brien'`, ` E'back\\\\slash'`, ` E'\\\\'' or true) --'`, `'é😀'`]
    assertEquals(texts, [`select q.* from (…) q where q."id" in (${expected.join(', ')})`])
  })

  it('accounts for every key once, whatever rows come', async () => {
    const strangers = rows('1', '3', null, '4', '1', '')
    const { read } = originOf({}, () => strangers)
    const { records, failures } = await read(['k:1', 'k:2', 'k:4', 'other:1'])
    assertEquals(records.map(({ key }) => key).sort(), ['k:1', 'k:4'])
    const told = failures.map(({ key, failure, retryable }) => [key, failure.code, failure.key, retryable])
    assertEquals(told, [
      ['other:1', 'KEY_INVALID', 'other:1', false],
      ['k:2', 'ORIGIN_NO_VALUE', 'k:2', false],
    ])
  })

  it('fails a key by its own bad row, and only once', async () => {
    const { read } = originOf({ value: { column: 'v' }, version: 'v' }, () => rows('1', '1', '2'))
    const { records, failures } = await read(['k:1', 'k:3'])
    assertEquals(records, [])
    assertEquals(
      failures.map(({ key, failure }) => [key, failure.code]),
      [
        ['k:1', 'VERSION_INVALID'],
        ['k:3', 'ORIGIN_NO_VALUE'],
      ],
    )
  })

  it('asks nothing for what no text in Postgres can hold', async () => {
    const { client, read } = originOf({}, () => rows())
    const { failures, requests } = await read(['k:a%00b', 'k:\ud800'])
    assertEquals([failures.map(({ failure }) => failure.code), requests], [['ORIGIN_NO_VALUE', 'ORIGIN_NO_VALUE'], 0])
    assertEquals(client.queries, [])
  })

  it('compares text where a value can’t be of the column’s type', async () => {
    for (const state of ['22P02', '22003', '22007', '42883']) {
      const { texts, read } = originOf({}, (text) => {
        if (!text.includes('::text')) throw postgres(state)
        return rows('1')
      })
      const { records, failures, requests } = await read(['k:1', 'k:abc'])
      assertEquals([records.length, failures.length, requests], [1, 1, 2])
      assertEquals(texts[1], `select q.* from (…) q where q."id"::text in ('1', 'abc')`)
    }
  })

  it('fails as a whole where the query does', async () => {
    for (const error of [postgres('22012'), postgres('40001'), new PrewarmError('ORIGIN_TIMEOUT', 'slow')]) {
      const { texts, read } = originOf({}, () => {
        throw error
      })
      assertEquals(await assertRejects(() => read(['k:1'])), error)
      assertEquals(texts.length, 1)
    }
  })

  it('says which columns there are where the key’s is missing', async () => {
    const { read } = originOf({}, (text) => {
      if (text.endsWith('limit 0')) return { columns: ['a', 'b'], rows: [] }
      throw postgres('42703')
    })
    const { message } = await assertRejects(() => read(['k:1']), PrewarmError)
    assertEquals(message, `The query gives no column 'id' for the key 'k:{id}': it gives a, b`)
  })

  it('gives the whole query’s last row to a key without placeholders', async () => {
    const { texts, read } = originOf({ key: 'config' }, () => rows('1', '2'))
    const { records, duplicates } = await read(['config'])
    assertEquals([records.map(({ key }) => key), duplicates, texts], [['config'], 1, ['select q.* from (…) q']])
    assertEquals(records[0]?.value, ['id', '2', 'v', 'x'])
  })
})
