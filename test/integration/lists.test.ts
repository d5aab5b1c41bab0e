import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { configFile, runJob, type Servers, startServers } from '../support/warming.ts'

const FILE = configFile(`tasks: {
  hash: sql({ key: 'h:{id}', value: 'hash', params: { ids: [1, 2, 3] },
    query: 'select n as id from generate_series(1, 9) n where n = any(:ids)' }),
  texts: sql({ key: 't:{id}', value: 'json', params: { ids: ['a', 'b "c"', 'd\\\\\\\\e'] }, orderBy: ['id'],
    query: "select md5(id) as id from unnest(:ids::text[]) id" }) }`)

describe('a list as a parameter', () => {
  let servers: Servers
  before(
    async () => {
      servers = await startServers()
    },
    { timeout: 60_000 },
  )
  after(() => servers.stop(), { timeout: 60_000 })

  for (const workers of [0, 1]) {
    it(`reaches the query as an array (${workers} workers)`, { timeout: 60_000 }, async () => {
      await servers.redis.flushall()
      const result = await runJob({ file: FILE, workers, ...servers.urls }, {})
      assertEquals([result.status, result.keys.written], ['success', 6], JSON.stringify(result.tasks))
      assertEquals((await servers.redis.keys('h:*')).sort(), ['h:1', 'h:2', 'h:3'])
    })
  }
})
