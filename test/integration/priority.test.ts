import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { defineConfig, load, type Warmer } from '../../src/index.ts'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect, tempFolder, until, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG = join(tempFolder(), 'loads.log')
/** A task whose every load is noted in a file, as `task size milliseconds keys`; it takes 5 ms. */
const task = (name: string, prefix: string, count: number, more = '') =>
  `${name}: load({ key: '${prefix}:{id}', value: 'string', params: { limit: ${count} }, ${more}
    select: ({ params }) => Array.from({ length: params.limit }, (_, at) => at + 1),
    load: async (keys: string[]) => { note('${name}', keys); await new Promise((resolve) => setTimeout(resolve, 5)); return keys } })`
const FILE = configFile(
  `maxOriginRps: 100000, concurrentWarmers: 2, tasks: {
    ${task('huge', 'huge', 3000, "batchSize: 10, tags: ['slow', 'all'],")},
    ${task('small', 'small', 50, "batchSize: 10, priority: 50, tags: ['quick', 'all'],")},
    ${task('vital', 'vital', 50, "batchSize: 10, priority: 100, critical: true, tags: ['quick'],")},
    ${task('shared', 'shared', 400, 'batchSize: 10,')} }`,
  `import { appendFileSync } from 'node:fs'
   const note = (task: string, keys: string[]) => appendFileSync(${JSON.stringify(LOG)}, [task, keys.length, Date.now(), keys.join()].join(' ') + '\\n')`,
)

interface Load {
  task: string
  size: number
  ms: number
  keys: string[]
}

describe('a warmer with several jobs', () => {
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

  const loads = (): Load[] =>
    readFileSync(LOG, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [name = '', size, ms, keys = ''] = line.split(' ')
        return { task: name, size: Number(size), ms: Number(ms), keys: keys.split(',') }
      })
  /** Each key that was loaded, as often as it was. */
  const loaded = () => loads().flatMap(({ keys }) => keys)

  for (const workers of [2, 0]) {
    const where = workers === 0 ? 'inline' : `${workers} workers`
    const withOne = <T>(work: (warmer: Warmer) => Promise<T>) =>
      withWarmer({ file: FILE, workers, redisUrl: server.url }, work)

    it(`lets a later, more important job overtake a huge one, which goes on after (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const huge = warmer.submit({ tasks: ['huge'] })
        await until(() => loads().length >= 10)
        const at = loads().length
        const vital = await warmer.submit({ tasks: ['vital'] }).result
        assertEquals([vital.status, huge.status], ['success', 'running'])
        const order = loads().slice(at)
        const lastVital = order.findLastIndex((one) => one.task === 'vital')
        const between = order.slice(0, lastVital).filter((one) => one.task === 'huge').length
        assert(between < 100, `${between} batches of the huge job went before the last of the important one`)
        const told = await huge.result
        assertEquals([told.status, told.keys.written, await redis.dbsize()], ['success', 3000, 3050])
      })
    })

    it(`takes turns between equals, so that a huge one starves nobody (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const huge = warmer.submit({ tasks: ['huge'] })
        await until(() => loads().length >= 10)
        const shared = await warmer.submit({ tasks: ['shared'], count: 100 }).result
        assertEquals([shared.status, huge.status], ['success', 'running'])
        const order = loads().map((one) => one.task)
        const turns = order.slice(order.indexOf('shared'), order.lastIndexOf('shared'))
        const ofHuge = turns.filter((name) => name === 'huge').length
        assert(ofHuge >= 4 && ofHuge <= 16, `${ofHuge} batches of the huge job among 10 of the other`)
        huge.cancel()
        await huge.result
      })
    })

    it(`runs the tasks of one job by priority, which a job may replace (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const result = await warmer.submit({ tasks: ['shared', 'small', 'vital'] }).result
        assertEquals(
          result.tasks.map(({ task, priority }) => [task, priority]),
          [
            ['vital', 100],
            ['small', 50],
            ['shared', 0],
          ],
        )
        const first = loads().slice(0, 4)
        assert(
          first.every((one) => one.task === 'vital'),
          first.map((one) => one.task).join(),
        )

        const huge = warmer.submit({ tasks: ['huge'], priority: 200 })
        const at = loads().length
        await until(() => loads().length >= at + 10)
        const vital = warmer.submit({ tasks: ['vital'] })
        const told = await huge.result
        assertEquals([told.tasks[0]?.priority, told.keys.written], [200, 3000])
        await vital.result
        const order = loads().slice(at)
        const before = order.findIndex((one) => one.task === 'vital')
        assert(before > 250, `the less important task began after ${before} of 300 batches`)
      })
    })

    it(`warms no key twice that two jobs want at once (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const jobs = [
          warmer.submit({ tasks: ['shared'], params: { limit: 200 } }),
          warmer.submit({ tasks: ['shared'] }),
          warmer.submit({ tasks: ['shared'], params: { limit: 300 } }),
        ]
        // Who lists a key first has it.
        const results = await Promise.all(jobs.map((job) => job.result))
        const planned = results.reduce((sum, result) => sum + result.keys.written, 0)
        const left = results.reduce((sum, result) => sum + (result.tasks[0]?.deduplicated as number), 0)
        assertEquals([planned, left], [400, 500])
        for (const { status, keys } of results) assertEquals(status, keys.planned === 0 ? 'skipped' : 'success')
        assertEquals(loaded().sort(), numbered('shared', 400).sort())
        // Once they have ended, the keys may be warmed again.
        const again = await warmer.submit({ tasks: ['shared'] }).result
        await assertAccounted(again, redis, numbered('shared', 400), { before: 400 })
        assertEquals([again.keys.written, loaded().length], [400, 800])
      })
    })

    it(`obeys params, count, batchSize and batchDelayMs (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const result = await warmer.submit({
          tasks: ['huge', 'small'],
          params: { limit: 60 },
          count: 45,
          batchSize: 20,
          batchDelayMs: 600,
        }).result
        await assertAccounted(result, redis, [...numbered('huge', 45), ...numbered('small', 45)])
        for (const name of ['huge', 'small']) {
          const batches = loads().filter((one) => one.task === name)
          assertEquals(batches.map((one) => one.size).sort(), [20, 20, 5])
          assertEquals(batches.flatMap((one) => one.keys).sort(), numbered(name, 45).sort())
          // They begin 1200 ms apart on the main thread; a busy machine may bring them closer in a worker.
          const [first, last] = [batches[0]?.ms as number, batches[2]?.ms as number]
          assert(last - first >= 300, `${name}: ${last - first} ms between the first batch and the third`)
        }
      })
    })

    it(`selects by tag, critical and name, and refuses what it does not know (${where})`, TIMEOUT, async () => {
      await withOne(async (warmer) => {
        const names = async (request: object) =>
          (await warmer.submit({ count: 1, ...request }).result).tasks.map((one) => one.task)
        assertEquals(await names({ tags: ['quick'] }), ['vital', 'small'])
        assertEquals(await names({ tags: ['slow', 'quick'] }), ['vital', 'small', 'huge'])
        assertEquals(await names({ tags: ['all'], tasks: ['small', 'vital'] }), ['small'])
        assertEquals(await names({ critical: true }), ['vital'])
        assertEquals(await names({}), ['vital', 'small', 'huge', 'shared'])
        for (const [request, code] of [
          [{ tasks: ['nobody'] }, 'TASK_UNKNOWN'],
          [{ tags: ['nothing'] }, 'USAGE'],
          [{ critical: true, tasks: ['small'] }, 'USAGE'],
          [{ params: { nope: 1 } }, 'PARAM_INVALID'],
        ] as const) {
          const error = assertThrows(() => warmer.submit(request)) as Error & { code: string }
          assertEquals(error.code, code)
        }
      })
    })
  }

  it('runs closures of a program inline', TIMEOUT, async () => {
    const seen: string[][] = []
    const config = defineConfig({
      tasks: {
        mine: load({
          key: 'mine:{id}',
          select: () => [1, 2, 3],
          load: (keys) => {
            seen.push([...keys])
            return keys
          },
        }),
      },
    })
    const result = await withWarmer({ config, redisUrl: server.url }, (warmer) => warmer.submit().result)
    await assertAccounted(result, redis, numbered('mine', 3))
    assertEquals(seen, [numbered('mine', 3)])
  })
})
