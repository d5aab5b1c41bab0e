import { after, before, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { createWarmer, type Warmer } from '../../src/index.ts'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, type Servers, startServers } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const ROWS = 200
const KEYS = numbered('k', ROWS)
/** The columns of table `things` that order it; `id` alone is unique. */
const ORDERS = [
  ['flag', 'id'],
  ['flag desc', 'id desc'],
  ['at', 'id'],
  ['at desc', 'id'],
  ['word', 'id'],
  ['word desc', 'id desc'],
  ['num', 'id'],
  ['day desc', 'id'],
  ['tags', 'id'],
  ['bytes', 'id desc'],
  ['body', 'id'],
  ['odd "name"', 'id'],
  ['flag desc', 'at', 'word desc', 'id'],
  // nulls, and many rows of one order key
  ['perhaps', 'id'],
  ['perhaps desc', 'id desc'],
  ['id desc', 'perhaps'],
  ['flag'],
  ['word desc'],
  ['at'],
]
/** In a text literal of the configuration, and in SQL. */
const quoted = (order: string) => order.replace(/^(odd "name"|\w+)/, (column) => `"${column.replaceAll('"', '""')}"`)
const FILE = configFile(
  `maxOriginRps: 100000, tasks: {
    ${ORDERS.flatMap((orderBy, at) =>
      ['hash', 'json'].map(
        (value) =>
          `${value}${at}: sql({ key: 'k:{id}', value: '${value}', columns: ['id'], batchSize: 7, query: 'select * from things', orderBy: ${JSON.stringify(orderBy)} })`,
      ),
    ).join(',\n')} }`,
)

describe('an order key', () => {
  let servers: Servers
  let warmer: Warmer
  before(async () => {
    servers = await startServers()
    await servers.sql.unsafe(`create table things as select id, id % 3 = 0 as flag,
      '2024-05-01 10:00:00+00'::timestamptz + (id / 3) * interval '1 microsecond' as at,
      (array['', 'o''brien', 'back\\\\slash', '"quoted"', 'a\\nb', '100%', 'é😀', '$1', ':id', ' '])[id % 10 + 1] as word,
      case when id = 50 then 'NaN' else (id % 20) / 7.0 end::numeric as num, '2024-02-29'::date + id % 9 as day,
      array[chr(65 + id % 5), 'x"y\\\\z'] as tags, decode(md5((id % 6)::text), 'hex') as bytes,
      jsonb_build_object('n', id % 4, 'it''s', '\\\\') as body, case when id % 4 = 0 then null else id / 8 end as perhaps, id % 11 as "odd ""name"""
      from generate_series(1, ${ROWS}) id order by md5(id::text)`)
    warmer = await createWarmer({ env: {}, file: FILE, workers: 0, ...servers.urls })
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(async () => {
    await warmer.stop()
    await servers.stop()
  }, TIMEOUT)

  const run = (task: string, request = {}) => warmer.submit({ tasks: [task], ...request }).result

  for (const [at, orderBy] of ORDERS.entries()) {
    const columns = orderBy.map((order) => quoted(order).replace(/ desc$/, ''))
    const order = orderBy.map(quoted).join(', ')

    for (const value of ['hash', 'json']) {
      it(`${orderBy.join(', ')} splits ${value} rows so that each comes once`, TIMEOUT, async () => {
        const result = await run(`${value}${at}`)
        const holds = (key: string) =>
          value === 'hash' ? { id: key.slice(2) } : JSON.stringify({ id: Number(key.slice(2)) })
        await assertAccounted(result, servers.redis, KEYS, { holds })
        assertEquals([result.status, result.keys.written], ['success', ROWS])
      })

      it(`${orderBy.join(', ')} tells which ${value} rows are first`, TIMEOUT, async () => {
        for (const count of [1, 7, 40]) {
          await servers.redis.flushall()
          const result = await run(`${value}${at}`, { count })
          assertEquals([result.status, result.keys.written, await servers.redis.dbsize()], ['success', count, count])
          const ids = (await servers.redis.keys('*')).map((key) => Number(key.slice(2)))
          // Rows that are equal in order may stand for each other, so that it is their order keys that are compared.
          const texts = `(${columns.map((column) => `${column}::text`).join(`, `)})::text`
          const [took, first] = await Promise.all([
            servers.sql.unsafe(`select ${texts} as key from things where id = any($1) order by ${order}`, [ids]),
            servers.sql.unsafe(`select ${texts} as key from things order by ${order} limit ${count}`),
          ])
          assertEquals([...took], [...first], `count ${count}`)
        }
      })
    }
  }
})
