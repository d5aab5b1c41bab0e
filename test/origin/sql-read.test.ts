import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { toRecords } from '../../src/origin/sql-read.ts'
import { sqlTask } from '../fakes/tasks.ts'

const columns = ['id', 'title', 'year']
const rows = [
  ['1', 'A', '1999'],
  ['2', null, '2001'],
]
const values = (options: Parameters<typeof sqlTask>[0], given: unknown[][] = rows) =>
  toRecords(sqlTask(options), { columns, rows: given }).records.map(({ value }) => value)

describe('toRecords', () => {
  it('toRecords makes a hash of all columns, leaving nulls out', () => {
    assertEquals(toRecords(sqlTask(), { columns, rows }), {
      records: [
        { key: 'k:1', value: ['id', '1', 'title', 'A', 'year', '1999'] },
        { key: 'k:2', value: ['id', '2', 'year', '2001'] },
      ],
      failures: [],
      duplicates: 0,
    })
  })

  it('toRecords makes an object for JSON, keeping nulls', () => {
    assertEquals(values({ value: 'json' })[1], { id: '2', title: null, year: '2001' })
  })

  it('toRecords takes one column as it is', () => {
    assertEquals(values({ value: { column: 'title' } }), ['A', null])
  })

  it('toRecords takes the wanted columns, in their own order', () => {
    assertEquals(values({ columns: ['year', 'id'] })[0], ['year', '1999', 'id', '1'])
    assertEquals(values({ value: 'json', columns: ['title'] }), [{ title: 'A' }, { title: null }])
  })

  it('toRecords builds the key from its columns, wanted or not', () => {
    const { records } = toRecords(sqlTask({ key: '{year}:k:{id}', columns: ['title'] }), {
      columns,
      rows: rows.slice(0, 1),
    })
    assertEquals(records, [{ key: '1999:k:1', value: ['title', 'A'] }])
  })

  for (const [what, options] of [
    ['key', { key: 'k:{code}' }],
    ['value', { value: { column: 'code' } }],
    ['value', { columns: ['id', 'code'] }],
    ['version', { version: 'code' }],
  ] as [string, Parameters<typeof sqlTask>[0]][])
    it(`toRecords tells of a column for the ${what} that the query does not give (${JSON.stringify(options)})`, () => {
      const error = assertThrows(() => toRecords(sqlTask(options), { columns, rows: [] }), PrewarmError)
      assertEquals(error.code, 'ORIGIN_FAILED')
      assertEquals(
        /no column 'code' for the (key|value|version).*it gives id, title, year$/.exec(error.message)?.[1],
        what,
      )
    })

  it('toRecords fails a row alone that makes no key', () => {
    const { records, failures } = toRecords(sqlTask(), {
      columns,
      rows: [
        [null, 'A', '1'],
        ['', 'B', '2'],
        ['3', 'C', '3'],
      ],
    })
    assertEquals(
      records.map(({ key }) => key),
      ['k:3'],
    )
    assertEquals(
      failures.map(({ key, failure, retryable }) => [key, failure.code, failure.key, retryable]),
      [
        [null, 'KEY_INVALID', undefined, false],
        [null, 'KEY_INVALID', undefined, false],
      ],
    )
  })

  it('toRecords reads the version from a column, wanted or not', () => {
    const { records } = toRecords(sqlTask({ version: 'year', columns: ['id'] }), { columns, rows })
    assertEquals(
      records.map(({ value, version }) => [value, version]),
      [
        [['id', '1'], '1999'],
        [['id', '2'], '2001'],
      ],
    )
  })

  it('toRecords reads the version by a function of the whole row', () => {
    const version = ({ id, year }: Record<string, string>) => Number(id) * 10_000 + Number(year)
    const { records } = toRecords(sqlTask({ version, columns: ['id'] }), { columns, rows })
    assertEquals(
      records.map((record) => record.version),
      ['11999', '22001'],
    )
  })

  it('toRecords fails a row alone whose version is none, and names its key', () => {
    const thrown = () => {
      throw new Error('no version')
    }
    for (const [version, code] of [
      ['title', 'VERSION_INVALID'],
      [thrown, 'VALUE_INVALID'],
    ] as const) {
      const { records, failures } = toRecords(sqlTask({ version }), { columns, rows: [['1', null, '1']] })
      assertEquals(
        [records, failures[0]?.key, failures[0]?.failure.code, failures[0]?.failure.key],
        [[], 'k:1', code, 'k:1'],
      )
    }
  })

  it('toRecords keeps the last of rows with the same key, in the place of the first', () => {
    const given = [
      ['1', 'A', '1'],
      ['2', 'B', '1'],
      ['1', 'C', '2'],
    ]
    const { records, duplicates } = toRecords(sqlTask({ value: { column: 'title' } }), { columns, rows: given })
    assertEquals(
      [records, duplicates],
      [
        [
          { key: 'k:1', value: 'C' },
          { key: 'k:2', value: 'B' },
        ],
        1,
      ],
    )
  })

  it('toRecords keeps the newer of rows with the same key, whatever their order', () => {
    const twice = [
      ['1', 'new', '10'],
      ['1', 'old', '9'],
    ]
    for (const given of [twice, twice.toReversed()]) {
      const { records, duplicates } = toRecords(sqlTask({ version: 'year' }), { columns, rows: given })
      assertEquals([records.length, records[0]?.version, duplicates], [1, '10', 1])
    }
  })
})
