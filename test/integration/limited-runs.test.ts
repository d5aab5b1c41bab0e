import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { configFile, type Servers, startServers, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const QUERY = `"select n as id, 'x' as title from generate_series(1, 2000) n"`
const FILE = configFile(`maxOriginRps: 100000, tasks: {
  ranges: sql({ key: 'r:{id}', value: 'hash', batchSize: 100, orderBy: ['id'], query: ${QUERY} }),
  stream: sql({ key: 's:{id}', value: 'hash', batchSize: 100, query: ${QUERY} }) }`)

describe('runs of the first keys beside runs of all', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  for (const task of ['ranges', 'stream']) {
    it(`a run of all is not left out because a run of the first few is on its way (${task})`, TIMEOUT, async () => {
      await withWarmer({ file: FILE, workers: 0, ...servers.urls }, async (warmer) => {
        const first = warmer.submit({ tasks: [task], count: 300, batchDelayMs: 100 })
        await until(() => (first.progress()[0]?.done ?? 0) > 0)
        const same = warmer.submit({ tasks: [task], count: 300 })
        const whole = warmer.submit({ tasks: [task] })
        const [few, again, all] = await Promise.all([first.result, same.result, whole.result])
        assertEquals([few.keys.written, all.keys.written, all.status], [300, 2000, 'success'])
        assertEquals(again.status, 'skipped')
      })
    })

    it(`a run of the first few is left out while all are on their way (${task})`, TIMEOUT, async () => {
      await withWarmer({ file: FILE, workers: 0, ...servers.urls }, async (warmer) => {
        const whole = warmer.submit({ tasks: [task], batchDelayMs: 50 })
        await until(() => (whole.progress()[0]?.done ?? 0) > 0)
        const first = warmer.submit({ tasks: [task], count: 300 })
        assertEquals((await first.result).status, 'skipped')
        assertEquals((await whole.result).keys.written, 2000)
      })
    })
  }
})
