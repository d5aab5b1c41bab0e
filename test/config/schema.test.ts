import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { checkConfig } from '../../src/config/schema.ts'
import { PrewarmError } from '../../src/errors.ts'

const sqlTask = { kind: 'sql', key: 'k:{id}', value: 'hash', query: 'select 1' }
const loadTask = { kind: 'load', key: 'k:{id}', load() {} }
const httpTask = { kind: 'http', key: 'k:{id}', url: 'https://origin.example/{id}' }
const withSql = (fields: object) => ({ tasks: { one: { ...sqlTask, ...fields } } })
const withLoad = (fields: object) => ({ tasks: { one: { ...loadTask, ...fields } } })
const withHttp = (fields: object) => ({ tasks: { one: { ...httpTask, ...fields } } })
const withTop = (fields: object) => ({ tasks: { one: sqlTask }, ...fields })

const DURATION = "expected ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from"
const TEXT = 'expected text that is not empty'
const TASK = 'expected sql({...}), load({...}) or http({...})'
const VALUE =
  "expected 'hash', 'json', 'string', 'keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:integrity' or { column: 'name' }"
const SQL_VALUE =
  "expected 'hash', 'json', 'keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:integrity' or { column: 'name' }"

/** What is wrong, and the one line that says so. */
const MISTAKES: [unknown, string][] = [
  [withSql({ key: '' }), `tasks.one.key is '', ${TEXT}`],
  [withSql({ key: 5 }), `tasks.one.key is 5, ${TEXT}`],
  [withSql({ key: undefined }), `tasks.one.key is undefined, ${TEXT}`],
  [withSql({ ttl: '5' }), `tasks.one.ttl is '5', ${DURATION} 1 to 31536000000 ms`],
  [withSql({ ttl: 0 }), `tasks.one.ttl is 0, ${DURATION} 1 to 31536000000 ms`],
  [withSql({ ttl: '53w' }), `tasks.one.ttl is '53w', ${DURATION} 1 to 31536000000 ms`],
  [withSql({ ttlJitter: 1.1 }), 'tasks.one.ttlJitter is 1.1, expected a number from 0 to 1'],
  [withSql({ priority: '1' }), "tasks.one.priority is '1', expected a number from -1000000 to 1000000"],
  [withSql({ priority: Number.NaN }), 'tasks.one.priority is NaN, expected a number from -1000000 to 1000000'],
  [withSql({ critical: 'yes' }), "tasks.one.critical is 'yes', expected true or false"],
  [withSql({ tags: 'a' }), "tasks.one.tags is 'a', expected a list of texts"],
  [withSql({ tags: ['a', 3] }), `tasks.one.tags.1 is 3, ${TEXT}`],
  [withSql({ params: [] }), 'tasks.one.params is a list, expected defaults by name, or a zod object'],
  [withSql({ params: null }), 'tasks.one.params is null, expected defaults by name, or a zod object'],
  [withSql({ timeoutMs: 0 }), `tasks.one.timeoutMs is 0, ${DURATION} 1 to 86400000 ms`],
  [withSql({ retries: 1.5 }), 'tasks.one.retries is 1.5, expected a whole number from 0 to 20'],
  [withSql({ mode: 'new' }), "tasks.one.mode is 'new', expected one of 'overwrite', 'add', 'newer'"],
  [withSql({ version: '' }), "tasks.one.version is '', expected a column or a function"],
  [
    withSql({ mode: 'newer' }),
    "tasks.one.version is undefined, expected a column or a function, because mode is 'newer'",
  ],
  [withSql({ schedule: '' }), `tasks.one.schedule is '', ${TEXT}`],
  [withSql({ batchSize: 10_001 }), 'tasks.one.batchSize is 10001, expected a whole number from 1 to 10000'],
  [withSql({ columns: {} }), 'tasks.one.columns is an object, expected a list of texts'],
  [withSql({ value: 'string' }), `tasks.one.value is 'string', ${SQL_VALUE}`],
  [withSql({ value: { column: '' } }), `tasks.one.value is an object, ${SQL_VALUE}`],
  [withSql({ query: ' ' }), "tasks.one.query is ' ', expected SQL text or a function (sql, params) => sql`…`"],
  [withSql({ orderBy: 'id' }), "tasks.one.orderBy is 'id', expected a list of texts"],
  [withLoad({ load: 5 }), 'tasks.one.load is 5, expected a function'],
  [withLoad({ select: 'k:1' }), "tasks.one.select is 'k:1', expected a function"],
  [withLoad({ value: 'x' }), `tasks.one.value is 'x', ${VALUE}`],
  [withLoad({ value: 'nitro:' }), `tasks.one.value is 'nitro:', ${VALUE}`],
  [withHttp({ url: 'ftp://a' }), "tasks.one.url is 'ftp://a', expected a URL that starts with http:// or https://"],
  [withHttp({ method: 'get' }), "tasks.one.method is 'get', expected one of 'GET', 'HEAD', 'POST', 'PUT'"],
  [withHttp({ headers: 5 }), 'tasks.one.headers is 5, expected texts by name'],
  [withHttp({ pointer: 'a' }), "tasks.one.pointer is 'a', expected a JSON pointer such as '/data/rate'"],
  [withHttp({ maxBytes: 0 }), 'tasks.one.maxBytes is 0, expected a whole number from 1 to 1073741824'],
  [{}, 'tasks is undefined, expected tasks by name'],
  [{ tasks: [] }, 'tasks is a list, expected tasks by name'],
  [{ tasks: { one: 5 } }, `tasks.one is 5, ${TASK}`],
  [{ tasks: { one: { kind: 'x' } } }, `tasks.one.kind is 'x', ${TASK}`],
  [{ tasks: { '1x': sqlTask } }, "tasks.1x is an object, expected a task name of letters, digits, '-' and '_'"],
  [withTop({ redis: 'http://a' }), "redis is 'http://a', expected a URL that starts with redis:// or rediss://"],
  [withTop({ database: 5 }), 'database is 5, expected a URL that starts with postgres:// or postgresql://'],
  [withTop({ redisTls: { caFile: 5 } }), `redisTls.caFile is 5, ${TEXT}`],
  [withTop({ workers: 65 }), 'workers is 65, expected a whole number from 0 to 64'],
  [withTop({ maxOriginRps: 0 }), 'maxOriginRps is 0, expected a number from 0.1 to 1000000'],
  [
    withTop({ defaultStrategy: 'fast' }),
    "defaultStrategy is 'fast', expected one of 'selective', 'breadth', 'priority'",
  ],
  [withTop({ startup: { delayMs: -1 } }), `startup.delayMs is -1, ${DURATION} 0 to 86400000 ms`],
]

/** Mistakes of a kind that zod would tell in words of its own. */
const IN_OUR_WORDS: [unknown, string][] = [
  [undefined, 'config is undefined, expected '],
  [5, 'config is 5, expected '],
  [withHttp({ headers: { accept: 1 } }), 'tasks.one.headers.accept is 1, expected '],
  [withTop({ redisTls: 5 }), 'redisTls is 5, expected '],
  [withTop({ startup: true }), 'startup is true, expected '],
]

const messageOf = (given: unknown): string => {
  const error = assertThrows(() => checkConfig(given), PrewarmError)
  assertEquals(error.code, 'CONFIG_INVALID')
  return error.message
}

describe('checkConfig', () => {
  it('checkConfig takes the smallest task of each kind, and every field of each', () => {
    checkConfig({ tasks: {} })
    const more = { ttl: '5m', ttlJitter: 0, priority: -3.5, critical: true, tags: [], params: { limit: 1 }, retries: 0 }
    const rest = { mode: 'newer', version: 'v', schedule: '* * * * *', batchSize: 1, columns: ['a'], timeoutMs: '1s' }
    checkConfig({
      tasks: {
        'a-1_b': { ...sqlTask, ...more, ...rest, value: { column: 'a' }, query: () => null, orderBy: ['a desc'] },
        b: { ...loadTask, ...more, ...rest, value: 'string', select() {}, version: () => 1 },
        c: { ...httpTask, ...more, ...rest, method: 'POST', headers: { a: 'b' }, pointer: '', maxBytes: 1 },
      },
    })
  })

  for (const value of ['hash', 'json', 'string', 'keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:v1']) {
    it(`checkConfig takes the value '${value}'`, () => checkConfig(withLoad({ value })))
  }

  for (const [given, line] of MISTAKES) it(`checkConfig says: ${line}`, () => assertEquals(messageOf(given), line))

  for (const [given, start] of IN_OUR_WORDS)
    it(`checkConfig says in its own words: ${start}…`, () =>
      assertEquals(messageOf(given).slice(0, start.length), start))

  it('checkConfig tells every mistake, a line for each', () => {
    assertEquals(messageOf(withSql({ ttl: -1, retries: 21 })).split('\n').length, 2)
    const two = { tasks: { one: { ...sqlTask, key: 5 }, two: { ...httpTask, url: 5 } } }
    assertEquals(
      messageOf(two)
        .split('\n')
        .map((line) => line.split(' is ')[0]),
      ['tasks.one.key', 'tasks.two.url'],
    )
  })

  it('checkConfig shows no password', () => {
    assertEquals(messageOf(withTop({ redis: 'http://u:s3cret@h' })).includes('s3cret'), false)
  })
})
