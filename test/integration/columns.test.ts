import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { configFile, psqlRows, runJob, type Servers, startServers } from '../support/warming.ts'
import { COLUMNS, createColumnTables } from './fixtures/column-types.ts'

const TIMEOUT = { timeout: 60_000 }
const tasks = (name: string, more: string) => [
  `${name}Hash: sql({ key: 'hash:{id}', value: 'hash', ${more} })`,
  `${name}Json: sql({ key: 'json:{id}', value: 'json', ${more} })`,
  ...COLUMNS.map((column) => {
    const query = `"select id, ${column} from kinds where ${column} is not null"`
    return `${name}_${column}: sql({ key: '${column}:{id}', value: { column: '${column}' }, ${more}, query: ${query} })`
  }),
]
const FILE = configFile(
  `maxOriginRps: 100000, tasks: {
    ${[...tasks('stream', "query: 'select * from kinds', batchSize: 2"), ...tasks('ranges', "query: 'select * from kinds', batchSize: 2, orderBy: ['id']")].join(',\n')},
    emptyHash: sql({ key: 'empty:{id}', value: 'hash', columns: ['c_text'], query: 'select * from kinds' }),
    nullColumn: sql({ key: 'null:{id}', value: { column: 'c_text' }, query: 'select * from kinds' }) }`,
)

describe('columns of every type', () => {
  let servers: Servers
  let rows: Record<string, string>[]
  before(async () => {
    servers = await startServers()
    await createColumnTables(servers.sql)
    rows = psqlRows(servers.postgresServer.url, 'select * from kinds order by id')
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  for (const workers of [1, 0]) {
    const where = workers === 0 ? 'inline' : 'in a worker'
    const warm = (names: string[]) => runJob({ file: FILE, workers, ...servers.urls }, { tasks: names })

    for (const way of ['stream', 'ranges']) {
      it(`are hashes as psql prints them (${way}, ${where})`, TIMEOUT, async () => {
        const result = await warm([`${way}Hash`])
        assertEquals([result.status, result.keys.written], ['success', rows.length], JSON.stringify(result.tasks))
        for (const row of rows) assertEquals({ ...(await servers.redis.hgetall(`hash:${row.id}`)) }, row)
      })

      it(`are JSON as postgres.js gives them (${way}, ${where})`, TIMEOUT, async () => {
        const result = await warm([`${way}Json`])
        assertEquals([result.status, result.keys.written], ['success', rows.length], JSON.stringify(result.tasks))
        for (const row of await servers.sql`select * from kinds`)
          assertEquals(await servers.redis.get(`json:${row.id}`), JSON.stringify(row))
      })

      it(`are each a string as psql prints it (${way}, ${where})`, TIMEOUT, async () => {
        const result = await warm(COLUMNS.map((column) => `${way}_${column}`))
        assertEquals(result.status, 'success', JSON.stringify(result.tasks.filter((task) => task.firstError !== null)))
        let count = 0
        for (const row of rows) {
          for (const column of COLUMNS) {
            assertEquals(await servers.redis.get(`${column}:${row.id}`), row[column] ?? null, `${column} of ${row.id}`)
            if (column in row) count++
          }
        }
        assertEquals([result.keys.written, await servers.redis.dbsize()], [count, count])
      })
    }

    it(`that are null fail their key where nothing else is wanted (${where})`, TIMEOUT, async () => {
      const result = await warm(['emptyHash', 'nullColumn'])
      const nulls = rows.filter((row) => !('c_text' in row)).length
      assert(nulls > 0)
      for (const task of result.tasks) {
        assertEquals([task.keys.written, task.keys.failed], [rows.length - nulls, nulls])
        assertEquals([task.status, task.firstError?.code], ['partial', 'VALUE_INVALID'])
      }
    })
  }
})
