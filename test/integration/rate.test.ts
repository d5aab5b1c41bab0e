import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { startCountingOrigin } from '../support/counting-origin.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect, runJob } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const RPS = 50
const MOST_IN_A_SECOND = RPS * 1.2 + 10
const holds = (key: string) => JSON.stringify({ path: `/${key.slice(2)}` })

type Answer = Parameters<typeof startCountingOrigin>[0]
interface Run {
  workers: number
  count: number
  tasks?: number
  most: number
  answer: () => Answer
  more?: string
}

describe('an HTTP origin', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedisServer()
  }, TIMEOUT)
  after(() => server.stop(), TIMEOUT)

  /** Warms `count` keys from an origin of its own, into database `at`, and checks its rate. */
  const warm = async ({ workers, count, tasks = 1, most, answer, more = '' }: Run, at = 0) => {
    const origin = await startCountingOrigin(answer())
    const redisUrl = `${server.url}/${at}`
    const redis = connect(redisUrl)
    try {
      await redis.flushdb()
      const each = Array.from(
        { length: tasks },
        (_, task) => `t${task}: http({ key: 'k:{id}', url: '${origin.url}/{id}', timeoutMs: '5s', ${more}
          select: () => Array.from({ length: ${count / tasks} }, (_, n) => ${(count / tasks) * task + 1} + n) })`,
      )
      const settings = `maxOriginRps: ${RPS}, concurrentWarmers: ${most}, backoffBaseMs: 10`
      const file = configFile(`${settings}, tasks: { ${each.join(',\n')} }`)
      const result = await runJob({ file, workers, redisUrl })
      await assertAccounted(result, redis, numbered('k', count), { holds })
      assertEquals(result.status, 'success')
      const busiest = origin.busiestSecond()
      assert(busiest <= MOST_IN_A_SECOND, `${busiest} requests within a second, ${workers} workers`)
      assert(origin.mostOpen <= most, `${origin.mostOpen} requests at once, ${most} allowed, ${workers} workers`)
      return { requests: origin.cameMs.length, told: result.tasks[0]?.originRequests }
    } finally {
      redis.disconnect()
      await origin.stop()
    }
  }
  /** By workers and inline, at the same time. */
  const both = (run: Omit<Run, 'workers'>) => Promise.all([2, 0].map((workers, at) => warm({ ...run, workers }, at)))

  it('gets no more requests a second than it may', TIMEOUT, async () => {
    const answer = () => () => ({ delayMs: 20 })
    for (const { requests } of await both({ count: 150, tasks: 3, most: 4, answer })) assertEquals(requests, 150)
  })

  it('gets no more requests at once than it may, also where workers have more slots', TIMEOUT, async () => {
    const answer = () => () => ({ delayMs: 150 })
    for (const { requests } of await both({ count: 48, tasks: 2, most: 3, answer })) assertEquals(requests, 48)
  })

  it('that refuses some (503) gets its retries at the same rate', TIMEOUT, async () => {
    const answer =
      (): Answer =>
      ({ path, times }) => ({ status: times === 1 && Number(path.slice(1)) % 3 === 0 ? 503 : 200 })
    // Told are the requests and the listing of keys.
    for (const one of await both({ count: 60, most: 10, answer })) assertEquals(one, { requests: 80, told: 81 })
  })

  it('that refuses everything (503) is left in peace: its task is given up after a few requests', TIMEOUT, async () => {
    const origin = await startCountingOrigin(() => ({ status: 503 }))
    const task = `http({ key: 'k:{id}', url: '${origin.url}/{id}', select: () => Array.from({ length: 500 }, (_, n) => n + 1) })`
    const file = configFile(`maxOriginRps: 1000, backoffBaseMs: 10, tasks: { t: ${task} }`)
    const result = await runJob({ file, workers: 0, redisUrl: server.url })
    await origin.stop()
    assertEquals([result.status, result.keys.failed], ['failed', 500])
    assert(origin.cameMs.length < 300, `${origin.cameMs.length} requests for 500 keys and 3 retries`)
  })

  it('that is slow for a while is not overrun when it recovers', TIMEOUT, async () => {
    const answer = () => {
      let beganMs: number | undefined
      return () => {
        beganMs ??= Date.now()
        return { delayMs: Date.now() - beganMs < 2500 ? 1000 : 0 }
      }
    }
    for (const { requests } of await both({ count: 150, most: 10, answer })) assertEquals(requests, 150)
  })

  it('whose task asks for large batches is kept to the same rate', TIMEOUT, async () => {
    const answer =
      (): Answer =>
      ({ n }) => ({ delayMs: n < 20 ? 400 : 0 })
    for (const { requests } of await both({ count: 150, most: 20, answer, more: 'batchSize: 100,' }))
      assertEquals(requests, 150)
  })
})
