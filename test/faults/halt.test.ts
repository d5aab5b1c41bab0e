import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, type Servers, startServers, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 90_000 }
const COUNT = 200_000
const KEYS = numbered('k', COUNT)
const QUERY = `"select n as id, repeat('x', 100) as pad from generate_series(1, ${COUNT}) n"`
const FILE = configFile(`maxOriginRps: 1000000, tasks: {
  stream: sql({ key: 'k:{id}', value: 'hash', query: ${QUERY}, timeoutMs: '60s' }),
  ranges: sql({ key: 'k:{id}', value: 'hash', orderBy: ['id'], query: ${QUERY}, timeoutMs: '60s' }),
  keyed: load({ key: 'k:{id}', value: 'string', batchSize: 100,
    select: () => Array.from({ length: ${COUNT} }, (_, at) => at + 1), load: (keys) => keys }) }`)

describe('emergency stop by hand', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  /** What has been written so far, by Redis' own count; it does not grow when nobody writes. */
  const writes = async () => [
    await servers.redis.dbsize(),
    (await servers.redis.info('commandstats')).match(/^cmdstat_(set|pexpireat):calls=\d+/gm)?.sort(),
  ]

  for (const task of ['stream', 'ranges', 'keyed']) {
    it(`during a run of 200k keys: no write after the answer, none lost after resume (${task})`, TIMEOUT, async () => {
      await withWarmer({ file: FILE, workers: 2, ...servers.urls }, async (warmer) => {
        const job = warmer.submit({ tasks: [task] })
        for (const share of [0.05, 0.3]) {
          await until(async () => (await servers.redis.dbsize()) > share * COUNT)
          assertEquals((await warmer.halt()).settled, true)
          const before = await writes()
          assert((before[0] as number) < COUNT)
          await new Promise((resolve) => setTimeout(resolve, 400))
          assertEquals(await writes(), before)
          warmer.resume()
        }
        const result = await job.result
        await assertAccounted(result, servers.redis, KEYS)
        assertEquals([result.status, result.keys.written], ['success', COUNT])
      })
    })
  }
})
