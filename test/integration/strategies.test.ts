import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect, tempFolder, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG = join(tempFolder(), 'loads.log')
/** A task whose every load is noted in a file, a line a key. */
const task = (name: string, key: string, more: string) =>
  `${name}: load({ key: '${key}', value: 'string', batchSize: 5, ${more}
    load: async (keys: string[]) => { note(keys); return keys } })`
const select = (count: number) => `select: () => Array.from({ length: ${count} }, (_, at) => at + 1),`
const FILE = configFile(
  `maxOriginRps: 100000, concurrentWarmers: 1, tasks: {
    ${task('films', 'film:{id}', select(400))}
    , ${task('reviews', 'film:{id}:reviews', `priority: 100, ${select(20)}`)}
    , ${task('prices', 'price:{id}', `parent: 'reviews', priority: 50, ${select(20)}`)} },
   strategies: { last: { rank: (keys: readonly string[]) => ({ keys: keys.slice(-10), priorities: 1 }) } }`,
  `import { appendFileSync } from 'node:fs'
   const note = (keys: string[]) => appendFileSync(${JSON.stringify(LOG)}, keys.map((key) => key + '\\n').join(''))`,
)
/** Keys that readers read, the hottest first, and how often. */
const READ = [317, 12, 250, 3, 388].map((id, at) => ({ key: `film:${id}`, reads: 50 - 10 * at }))
const HOT = READ.map(({ key }) => key)

describe('strategies on a real Redis', () => {
  let server: RedisServer
  let redis: ReturnType<typeof connect>
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.flushall()
    writeFileSync(LOG, '')
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const loaded = () => readFileSync(LOG, 'utf8').split('\n').filter(Boolean)
  const written = async (pattern: string) => new Set(await redis.keys(pattern))

  /** Readers of another process, that has ended. */
  const read = () =>
    withWarmer({ file: FILE, workers: 0, redisUrl: server.url }, async (warmer) => {
      await warmer.start()
      for (const { key, reads } of READ)
        for (let at = 0; at < reads; at++) warmer.recordRead({ key, tier: 'redis', filledBy: 'read' })
    })

  for (const workers of [0, 2]) {
    const where = workers === 0 ? 'inline' : `${workers} workers`
    const withOne = <T>(work: Parameters<typeof withWarmer<T>>[1]) =>
      withWarmer({ file: FILE, workers, redisUrl: server.url }, work)

    it(`priority writes the hot keys first, so that a job which is stopped has them (${where})`, TIMEOUT, async () => {
      await read()
      await withOne(async (warmer) => {
        const job = warmer.submit({ tasks: ['films'], batchDelayMs: 30 })
        const stop = warmer.on('batch', () => job.cancel())
        const { status, keys } = await job.result
        stop()
        assertEquals(status, 'cancelled')
        assert(keys.written < 100, `${keys.written}`)
        assertEquals(loaded().slice(0, 5), HOT)
        const there = await written('film:*')
        for (const key of HOT) assert(there.has(key), `${key} is not there`)
      })
    })

    it(`priority goes by the list where nobody has read (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const { status } = await warmer.submit({ tasks: ['films'], count: 20 }).result
        assertEquals(status, 'success')
        assertEquals(
          loaded(),
          Array.from({ length: 20 }, (_, at) => `film:${at + 1}`),
        )
      })
    })

    it(`selective writes the top N and nothing else (${where})`, TIMEOUT, async () => {
      await read()
      await withOne(async (warmer) => {
        const { keys } = await warmer.submit({ tasks: ['films'], strategy: 'selective', count: 3 }).result
        assertEquals([keys.written, keys.planned], [3, 3])
        assertEquals(await written('film:*'), new Set(HOT.slice(0, 3)))
      })
    })

    it(`breadth writes parents before children (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const { status } = await warmer.submit({ strategy: 'breadth' }).result
        assertEquals(status, 'success')
        const order = loaded().map((key) => (key.startsWith('price') ? 4 : key.split(':').length))
        assertEquals(order.length, 440)
        assertEquals(
          order,
          [...order].sort((a, b) => a - b),
        )
      })
    })

    it(`a strategy of the configuration’s chooses and orders (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const { keys, tasks } = await warmer.submit({ tasks: ['films'], strategy: 'last' }).result
        assertEquals([keys.written, tasks[0]?.notChosen], [10, 390])
        assertEquals(loaded()[0], 'film:391')
      })
    })
  }

  it('runs warm in order also where Redis refuses to tell of reads', TIMEOUT, async () => {
    await read()
    await redis.call('ACL', 'SETUSER', 'poor', 'on', '>secret', '~*', '&*', '+@all', '-zrevrange')
    const redisUrl = server.url.replace('redis://', 'redis://poor:secret@')
    await withWarmer({ file: FILE, workers: 0, redisUrl }, async (warmer) => {
      const { status, keys, tasks } = await warmer.submit({ tasks: ['films'], count: 10 }).result
      assertEquals([status, keys.written, tasks[0]?.firstError], ['success', 10, null])
      assertEquals(loaded()[0], 'film:1')
    })
  })
})
