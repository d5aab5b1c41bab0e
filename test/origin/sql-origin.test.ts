import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { SqlOptions } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { SqlOrigin } from '../../src/origin/sql-read.ts'
import type { ReadOptions, Work } from '../../src/origin/types.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { sqlTask } from '../fakes/tasks.ts'

/** An origin over a query of `count` rows. */
function originOf(count: number, options: Partial<SqlOptions> = {}) {
  const client = new FakeSqlClient()
  client.answer = () => ({ columns: ['id'], rows: Array.from({ length: count }, (_, at) => [`${at + 1}`]) })
  return { client, origin: new SqlOrigin(sqlTask(options), client) }
}

const options = (more: Partial<ReadOptions> = {}): ReadOptions => {
  const { signal } = new AbortController()
  return { params: {}, timeoutMs: 500, signal, requestIntervalMs: 0, traceId: '1'.repeat(32), ...more }
}
const page = (stream: string, rows: number, limit: number | null = null): Work => ({
  kind: 'page',
  stream,
  rows,
  limit,
})
const range: Work = { kind: 'range', range: { from: null, to: null, limit: null } }

describe('SqlOrigin', () => {
  it('read takes a range in one request', async () => {
    const { client, origin } = originOf(3)
    const { records, requests, done } = await origin.read(range, options())
    assertEquals([records.length, requests, done, client.queries.length], [3, 1, true, 1])
  })

  it('read asks for text, and for JavaScript values where it makes JSON', async () => {
    const forms: unknown[] = []
    for (const value of ['hash', 'json', { column: 'id' }] as const) {
      const { client, origin } = originOf(1, { value })
      const answer = client.answer
      client.answer = (query, given) => {
        forms.push([given.as, given.timeoutMs])
        return answer(query, given)
      }
      await origin.read(range, options())
      await origin.read(page('s', 5), options())
    }
    assertEquals(forms, [
      ['text', 500],
      ['text', 500],
      ['js', 500],
      ['js', 500],
      ['text', 500],
      ['text', 500],
    ])
  })

  it('read takes a stream page by page, in one query, and closes its cursor after the last row', async () => {
    const { client, origin } = originOf(5)
    const pages: unknown[] = []
    for (let at = 0; at < 3; at++) {
      const { records, done } = await origin.read(page('s', 2), options())
      pages.push([records.map(({ key }) => key), done, client.openCursors])
    }
    assertEquals(pages, [
      [['k:1', 'k:2'], false, 1],
      [['k:3', 'k:4'], false, 1],
      [['k:5'], true, 0],
    ])
    const after = await origin.read(page('s', 2), options())
    assertEquals([after.records, after.done, after.requests, client.queries.length], [[], true, 0, 1])
  })

  it('read takes pages in turn, however many are asked for at once', async () => {
    const { origin } = originOf(7)
    const read = await Promise.all([1, 2, 3, 4].map(() => origin.read(page('s', 2), options())))
    assertEquals(
      read.map(({ records, done }) => [records.length, done]),
      [
        [2, false],
        [2, false],
        [2, false],
        [1, true],
      ],
    )
    assertEquals(new Set(read.flatMap(({ records }) => records.map(({ key }) => key))).size, 7)
  })

  it('read takes no more rows than the limit', async () => {
    const { client, origin } = originOf(100)
    const first = await origin.read(page('s', 4, 6), options())
    const second = await origin.read(page('s', 4, 6), options())
    assertEquals([first.records.length, first.done, second.records.length, second.done], [4, false, 2, true])
    assertEquals(client.openCursors, 0)
  })

  it('read of a page tells when its own turn has come', async () => {
    const { client, origin } = originOf(4)
    const order: string[] = []
    const answer = client.answer
    client.answer = (query, given) => {
      order.push('query')
      return answer(query, given)
    }
    const begin = (name: string) => options({ onBegin: () => order.push(name) })
    await Promise.all([origin.read(page('s', 2), begin('first')), origin.read(page('s', 2), begin('second'))])
    assertEquals(order, ['first', 'query', 'second'])
  })

  it('read that fails frees the connection, and the stream gives nothing more', async () => {
    const { client, origin } = originOf(4)
    client.answer = () => {
      throw new PrewarmError('ORIGIN_TIMEOUT', 'slow')
    }
    const error = await assertRejects(() => origin.read(page('s', 2), options()), PrewarmError)
    assertEquals([error.code, client.openCursors], ['ORIGIN_TIMEOUT', 0])
    assertEquals((await origin.read(page('s', 2), options())).records, [])
  })

  it('closeStream frees the connection, twice if need be, and knows no stranger', async () => {
    const { client, origin } = originOf(9)
    await origin.read(page('s', 2), options())
    await origin.read(page('t', 2), options())
    for (const stream of ['s', 's', 'unknown']) await origin.closeStream(stream)
    assertEquals(client.openCursors, 1)
    const { records, done } = await origin.read(page('s', 2), options())
    assertEquals([records, done], [[], true])
  })

  it('close frees every connection', async () => {
    const { client, origin } = originOf(9)
    for (const stream of ['s', 't']) await origin.read(page(stream, 2), options())
    await origin.close()
    assertEquals(client.openCursors, 0)
  })
})
