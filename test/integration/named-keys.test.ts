import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import fc from 'fast-check'
import postgres, { type Sql } from 'postgres'
import type { SqlOptions } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { openPostgres } from '../../src/origin/postgres.ts'
import { keysStatement } from '../../src/origin/ranges.ts'
import type { SqlClient } from '../../src/origin/sql-client.ts'
import { SqlOrigin } from '../../src/origin/sql-read.ts'
import { sqlTask } from '../fakes/tasks.ts'
import { checkAsync } from '../support/property.ts'
import { startPostgresServer, type TestServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const WORDS = [
  "o'brien",
  'back\\slash',
  '"quoted"',
  "\\' or true --",
  'é😀',
  'a:b{c}*',
  "'",
  '\\',
  '$1',
  ':id',
  '100%',
  'x\ny',
  ' ',
]
/** The types of `things`' columns that are keys here, for each form of value the ones that name their own row. */
const FOUND = {
  hash: ['id', 'big', 'uid', 'word', 'at', 'num', 'flag', 'fixed', 'day', 'mood', 'span', 'doc'],
  json: ['id', 'big', 'uid', 'word', 'milli', 'num', 'flag', 'fixed', 'mood'],
}

describe('keys of a query by name', () => {
  let server: TestServer
  let sql: Sql
  let client: SqlClient
  before(async () => {
    server = await startPostgresServer()
    sql = postgres(server.url, { max: 2, onnotice: () => {} })
    client = openPostgres({ url: server.url, maxConnections: 4 })
    await sql`create type mood as enum ('sad', 'o''k')`
    await sql`create table things (id int primary key, big bigint, uid uuid, word text, at timestamptz, milli timestamptz,
      num numeric, flag bool, fixed char(12), day date, mood mood, span interval, doc json, perhaps text)`
    for (const [at, word] of WORDS.entries()) {
      await sql`insert into things values (${at + 1}, ${String(9007199254740990n + BigInt(at))}::bigint, gen_random_uuid(), ${word},
        '2024-05-01 10:00:00.123456+00'::timestamptz + ${at} * interval '1 s', '2024-05-01 10:00:00.123+00'::timestamptz + ${at} * interval '1 s',
        ${at} + 0.50, ${at} = 0, ${`f${at}`}, '2024-02-20'::date + ${at}::int, ${at === 0 ? "o'k" : 'sad'}::mood, ${at} * interval '1 hour',
        ${`{"n": ${at}}`}::text::json, null)`
    }
  }, TIMEOUT)
  after(async () => {
    await client.close()
    await sql.end({ timeout: 1 })
    await server.stop()
  }, TIMEOUT)

  const reader = (options: Partial<SqlOptions>) => {
    const task = sqlTask({ query: 'select * from things', ...options })
    const origin = new SqlOrigin(task, client)
    const { signal } = new AbortController()
    const read = (keys: readonly string[], params = {}) =>
      origin.read(
        { kind: 'keys', keys },
        { params, timeoutMs: 5000, signal, requestIntervalMs: 0, traceId: '1'.repeat(32) },
      )
    return { task, read }
  }

  for (const value of ['hash', 'json'] as const)
    for (const column of FOUND[value])
      it(`finds the rows that gave them, by ${column} (${value})`, TIMEOUT, async () => {
        const { task, read } = reader({ key: `k:{${column}}`, value })
        const { signal } = new AbortController()
        const origin = new SqlOrigin(task, client)
        const page = { kind: 'range' as const, range: { from: null, to: null, limit: null } }
        const all = await origin.read(page, {
          params: {},
          timeoutMs: 5000,
          signal,
          requestIntervalMs: 0,
          traceId: '1'.repeat(32),
        })
        const keys = all.records.map(({ key }) => key)
        const { records, failures } = await read([...keys].reverse())
        const sorted = (some: typeof records) => some.map(({ key }) => key).sort()
        assertEquals([sorted(records), failures], [sorted(all.records), []])
        if (keys.length === WORDS.length)
          assertEquals(
            new Set(records.map((one) => JSON.stringify(one))),
            new Set(all.records.map((one) => JSON.stringify(one))),
          )
      })

  it('finds none by a time that JavaScript can’t hold', TIMEOUT, async () => {
    const { read } = reader({ key: 'k:{at}', value: 'json' })
    const { records, failures } = await read(['k:2024-05-01T10%3A00%3A00.123Z'])
    assertEquals([records, failures.map(({ failure }) => failure.code)], [[], ['ORIGIN_NO_VALUE']])
  })

  it('gives no other key than the one asked for', TIMEOUT, async () => {
    const { read } = reader({ key: 'k:{id}' })
    const { records, failures, requests } = await read(['k:01', 'k: 2', 'k:3', 'k:99', 'k:%2B4'])
    assertEquals(
      records.map(({ key }) => key),
      ['k:3'],
    )
    const told = new Map(failures.map(({ key, failure, retryable }) => [key, [failure.code, retryable]]))
    const none = ['ORIGIN_NO_VALUE', false]
    assertEquals(Object.fromEntries(told), {
      'k:01': none,
      'k: 2': none,
      'k:99': none,
      'k:%2B4': ['KEY_INVALID', false],
    })
    assertEquals(requests, 1)
  })

  it('finds the others where one can’t be of the column’s type', TIMEOUT, async () => {
    for (const [column, good, bad] of [
      ['id', '3', 'abc'],
      ['id', '3', '99999999999999999999'],
      ['uid', undefined, 'not-a-uuid'],
      ['day', '2024-02-21', '2024-02-99'],
      ['mood', 'sad', 'happy'],
    ] as const) {
      const { read } = reader({ key: `k:{${column}}` })
      const key = `k:${good ?? (await sql`select uid from things where id = 3`)[0]?.uid}`
      const { records, failures, requests } = await read([`k:${bad}`, key])
      assertEquals(
        [records.map((one) => one.key), failures.map((one) => one.key), requests],
        [[key], [`k:${bad}`], 2],
        column,
      )
    }
  })

  it('finds keys of several columns', TIMEOUT, async () => {
    const { task, read } = reader({ key: 't:{word}:{id}' })
    const keys = WORDS.map((word, at) => task.key.format({ word, id: at + 1 }))
    const crossed = task.key.format({ word: WORDS[0], id: 2 })
    const { records, failures } = await read([...keys, crossed])
    assertEquals(records.map(({ key }) => key).sort(), [...keys].sort())
    assertEquals(
      failures.map(({ key }) => key),
      [crossed],
    )
  })

  it('uses an index, as the column is compared in its own type', TIMEOUT, async () => {
    await sql`create table many (id int primary key, v text)`
    await sql`insert into many select id, 'x' from generate_series(1, 20000) id`
    await sql`analyze many`
    const task = sqlTask({ query: 'select * from many' })
    const planOf = async (as: 'typed' | 'text') => {
      const { before, after } = keysStatement(task, {}, [{ id: '7' }, { id: '7000' }], as)
      return JSON.stringify(await sql.unsafe(`explain ${before}select * from many${after}`))
    }
    assert(!(await planOf('typed')).includes('Seq Scan'), await planOf('typed'))
    assert((await planOf('text')).includes('Seq Scan'))
  })

  it('takes the query’s own limit and parameters as they are, bound or from a function', TIMEOUT, async () => {
    const text = 'select id, word from things where id > :above order by id limit :limit'
    const build: SqlOptions['query'] = (build, params) =>
      build`select id, word from things where id > ${params.above as number} order by id limit ${params.limit as number}`
    for (const query of [text, build]) {
      const { read } = reader({ query, params: { above: 0, limit: 10 } })
      const { records, failures } = await read(['k:1', 'k:3', 'k:4', 'k:6'], { above: 1, limit: 3 })
      assertEquals(records.map(({ key }) => key).sort(), ['k:3', 'k:4'])
      assertEquals(failures.map(({ key }) => key).sort(), ['k:1', 'k:6'])
    }
  })

  it(
    'says which columns there are where the key’s is missing; a wrong query tells its own error',
    TIMEOUT,
    async () => {
      const missing = await assertRejects(
        () => reader({ key: 'k:{nope}', query: 'select id, word from things' }).read(['k:1']),
        PrewarmError,
      )
      assertEquals(missing.message, "The query gives no column 'nope' for the key 'k:{nope}': it gives id, word")
      const wrong = await assertRejects(() => reader({ query: 'select idd from things' }).read(['k:1']), PrewarmError)
      assertEquals([wrong.code, wrong.detail], ['ORIGIN_FAILED', '42703'])
    },
  )

  for (const strings of ['on', 'off'])
    it(`runs nothing that a key says (standard_conforming_strings = ${strings})`, TIMEOUT, async () => {
      await sql.unsafe(`alter database postgres set standard_conforming_strings = ${strings}`)
      const fresh = openPostgres({ url: server.url, maxConnections: 1 })
      try {
        const task = sqlTask({ key: 'k:{word}', query: 'select word from things' })
        const origin = new SqlOrigin(task, fresh)
        const text = fc
          .oneof(
            fc.string({ unit: fc.constantFrom(...`'"\\;-/*$1:(){}%éxE😀\n `), minLength: 1 }),
            fc.string({ unit: 'binary', minLength: 1 }),
          )
          .filter((one) => one.isWellFormed())
        const property = fc.asyncProperty(fc.uniqueArray(text, { minLength: 1, maxLength: 20 }), async (words) => {
          const keys = [...words, WORDS[3] as string].map((word) => task.key.format({ word }))
          const { signal } = new AbortController()
          const options = { params: {}, timeoutMs: 5000, signal, requestIntervalMs: 0, traceId: '1'.repeat(32) }
          const { records, failures } = await origin.read({ kind: 'keys', keys }, options)
          const there = [...new Set(keys)].filter((key) => WORDS.includes(task.key.match(key)?.word as string))
          assertEquals(records.map(({ key }) => key).sort(), there.sort())
          assertEquals(failures.length, new Set(keys).size - there.length)
          assert(failures.every(({ failure }) => failure.code === 'ORIGIN_NO_VALUE'))
        })
        await checkAsync(property, 150)
      } finally {
        await fresh.close()
      }
    })
})
