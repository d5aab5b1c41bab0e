import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { csvCells } from '../../src/learn/csv.ts'
import {
  commonLogParser,
  csvParser,
  formatOf,
  type LineParser,
  ndjsonParser,
  type ParserOptions,
} from '../../src/learn/parsers.ts'
import { pathMap } from '../../src/learn/path-map.ts'
import { check } from '../support/property.ts'

const AT = Date.parse('2026-03-01T02:00:00Z')
const keyOf = pathMap([{ path: '/films/{id}', key: 'film:{id}' }])
const films = commonLogParser({ keyOf })
const common = (request: string, status = 200, date = '01/Mar/2026:02:00:00 +0000') =>
  `10.0.0.1 - - [${date}] "${request}" ${status} 512`

function csv(header: string, options: ParserOptions = {}): LineParser {
  const parser = csvParser(header, options)
  assert(typeof parser === 'function', `${parser}`)
  return parser
}

const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => text.isWellFormed())
const atMs = fc.integer({ min: 1e11, max: 4e12 })
const count = fc.integer({ min: 1, max: 1e6 })

describe('NDJSON', () => {
  const parse = ndjsonParser({})

  it('gives what was written', () => {
    check(
      fc.property(key, atMs, count, (one, at, times) => {
        const read = { key: one, atMs: at, count: times }
        assertEquals(parse(JSON.stringify({ key: one, ts_ms: at, count: times })), read)
        assertEquals(parse(JSON.stringify({ at: new Date(at).toISOString(), key: one, count: times })), read)
      }),
    )
  })

  it('takes the first field of a time that there is', () => {
    for (const name of ['ts_ms', 'time', 'ts', 'timestamp', '@timestamp', 'at'])
      assertEquals(parse(JSON.stringify({ key: 'a', [name]: AT })), { key: 'a', atMs: AT, count: 1 }, name)
    assertEquals(parse(`{"key":7,"ts":${AT / 1000}}`), { key: '7', atMs: AT, count: 1 })
  })

  it('takes the fields that it is told, and makes keys of paths', () => {
    const told = ndjsonParser({ keyField: 'cache_key', timeField: 'when' })
    assertEquals(told(`{"cache_key":"a","when":${AT},"key":"b"}`), { key: 'a', atMs: AT, count: 1 })
    assertEquals(told(`{"key":"b","when":${AT}}`), 'bad')
    const paths = ndjsonParser({ keyOf })
    assertEquals(paths(`{"path":"/films/1?x=1","ts":${AT},"status":200}`), { key: 'film:1', atMs: AT, count: 1 })
    assertEquals(paths(`{"url":"/films/1","ts":${AT},"method":"POST"}`), 'other')
    assertEquals(paths(`{"url":"/films/1","ts":${AT},"status":404}`), 'other')
  })

  for (const line of ['', '{', 'null', '7', '[]', '{}', '{"key":"a"}', '{"ts":1}', '{"key":"","ts":1}'])
    it(`calls ${line === '' ? 'nothing' : line} bad`, () => assertEquals(parse(line), 'bad'))
  for (const more of ['"count":0', '"count":1.5', '"count":"x"', '"ts":"yesterday"', '"ts":-1'])
    it(`calls a line with ${more} bad`, () => assertEquals(parse(`{"key":"a","ts":1,${more}}`), 'bad'))
  it('calls a key of more than 4096 characters bad', () => {
    assertEquals(parse(JSON.stringify({ key: 'k'.repeat(4097), ts: 1 })), 'bad')
  })
})

describe('CSV', () => {
  it('gives what was written, whatever stands in the cells', () => {
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
    const cell = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text))
    check(
      fc.property(fc.array(cell, { minLength: 1 }), (cells) => {
        assertEquals(csvCells(cells.map(quoted).join(',')), cells)
        const plain = cells.map((text) => text.replaceAll(/[",]/g, ''))
        assertEquals(csvCells(plain.join(',')), plain)
      }),
    )
    const parse = csv('time,key')
    check(
      fc.property(
        key.filter((text) => !/[\r\n]/.test(text)),
        atMs,
        (one, at) => {
          assertEquals(parse(`${at},${quoted(one)}`), { key: one, atMs: at, count: 1 })
        },
      ),
    )
  })

  it('goes by the names of the columns', () => {
    assertEquals(csv('ts_ms,key')('1000,a'), { key: 'a', atMs: 1000, count: 1 })
    assertEquals(csv('time,key')('1000,a'), { key: 'a', atMs: 1_000_000, count: 1 })
    assertEquals(csv(' Key,"Time",count')(`a,2026-03-01T02:00:00Z,3`), { key: 'a', atMs: AT, count: 3 })
    assertEquals(csv('k,t', { keyField: 'k', timeField: 't' })(`a,${AT}`), { key: 'a', atMs: AT, count: 1 })
  })

  it('says which column is missing', () => {
    assertEquals(csvParser('a,time', {}), "no column is called 'key': name it with --key-field")
    assertEquals(csvParser('key,b', { timeField: 'when' }), "no column is called 'when': name it with --time-field")
    assertEquals(csvParser('key,"b', {}), 'a quote is not closed')
  })

  it('calls lines of another length, and open quotes, bad', () => {
    const parse = csv('time,key')
    for (const line of ['1000', '1000,a,b', '1000,"a', '1000,"a"b', 'x,a', '1000,'])
      assertEquals(parse(line), 'bad', line)
  })
})

describe('the common log format', () => {
  it('gives the key of a path that was read', () => {
    const read = { key: 'film:1', atMs: AT, count: 1 }
    assertEquals(films(common('GET /films/1 HTTP/1.1')), read)
    assertEquals(films(common('HEAD /films/1?token=x#y HTTP/2.0', 304)), read)
    assertEquals(films(common('GET http://shop.example/films/1 HTTP/1.1')), read)
    assertEquals(films(common('GET /films/1 HTTP/1.1', 200, '01/Mar/2026:03:30:00 +0130')), read)
    assertEquals(films(`${common('GET /films/1 HTTP/1.1')} "http://a/?q=\\"x\\"" "Mozilla/5.0 (a; b)"`), read)
    assertEquals(films(`::1 - Jo Doe [01/Mar/2026:02:00:00 +0000] "GET /films/1" 200 -`), read)
  })

  it('passes over what is no read of a key', () => {
    for (const line of [
      common('POST /films/1 HTTP/1.1'),
      common('GET /films/1 HTTP/1.1', 404),
      common('GET /films/1 HTTP/1.1', 500),
      common('GET /films HTTP/1.1'),
      common('GET /films/1/cast HTTP/1.1'),
      common('\\x16\\x03\\x01'),
      common('-', 400),
    ])
      assertEquals(films(line), 'other', line)
  })

  it('calls other lines bad', () => {
    for (const line of ['', 'hello', '10.0.0.1 - - [yesterday] "GET /films/1 HTTP/1.1" 200 1', '{"key":"a"}'])
      assertEquals(films(line), 'bad', line)
  })
})

describe('a line that was made to hold readers up', () => {
  it('is bad, as others are', () => {
    const begin = '::1 - - [10/Oct/2000:13:55:36 -0700] "GET /'
    for (let n = 0; n < 100; n++) {
      assertEquals(films(`::1 - ${'['.repeat(60_000)}`), 'bad')
      assertEquals(films(begin + '['.repeat(60_000)), 'bad')
      assertEquals(formatOf(begin + '[a] "b" '.repeat(8000)), null)
    }
  })
})

describe('a log’s first line', () => {
  it('tells its format', () => {
    assertEquals(formatOf(' {"key":"a"}'), 'ndjson')
    assertEquals(formatOf(common('GET / HTTP/1.1')), 'clf')
    assertEquals(formatOf('time,key'), 'csv')
    assertEquals(formatOf('hello'), null)
  })
})
