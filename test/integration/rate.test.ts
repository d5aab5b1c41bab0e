import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type CountingOrigin, startCountingOrigin } from '../support/counting-origin.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect, runJob } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const RPS = 50
const MOST_IN_A_SECOND = RPS * 1.2 + 10
const holds = (key: string) => JSON.stringify({ path: `/${key.slice(2)}` })

describe('an HTTP origin', () => {
  let server: RedisServer
  let redis: ReturnType<typeof connect>
  let origin: CountingOrigin
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall(), TIMEOUT)
  afterEach(() => origin.stop(), TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const warm = (workers: number, count: number, settings: string, more = '', tasks = 1) => {
    const names = Array.from({ length: tasks }, (_, at) => `t${at}`)
    const each = names.map(
      (name, at) => `${name}: http({ key: 'k:{id}', url: '${origin.url}/{id}', timeoutMs: '5s', ${more}
        select: () => Array.from({ length: ${count / tasks} }, (_, n) => ${(count / tasks) * at + 1} + n) })`,
    )
    const file = configFile(`maxOriginRps: ${RPS}, backoffBaseMs: 10, ${settings} tasks: { ${each.join(',\n')} }`)
    return runJob({ file, workers, redisUrl: server.url })
  }
  const assertHeld = (most: number) => {
    const busiest = origin.busiestSecond()
    assert(busiest <= MOST_IN_A_SECOND, `${busiest} requests within a second`)
    assert(origin.mostOpen <= most, `${origin.mostOpen} requests at once, ${most} allowed`)
  }

  for (const workers of [2, 0]) {
    const where = workers === 0 ? 'inline' : `${workers} workers`

    it(`gets no more requests a second, nor at once, than it may (${where})`, TIMEOUT, async () => {
      origin = await startCountingOrigin(() => ({ delayMs: 60 }))
      const result = await warm(workers, 150, 'concurrentWarmers: 4,', '', 3)
      await assertAccounted(result, redis, numbered('k', 150), { holds })
      assertEquals([result.status, origin.cameMs.length], ['success', 150])
      assertHeld(4)
    })

    it(`that refuses (503) gets its retries at the same rate (${where})`, TIMEOUT, async () => {
      origin = await startCountingOrigin(({ times }) => ({ status: times <= 2 ? 503 : 200 }))
      const result = await warm(workers, 60, 'concurrentWarmers: 10,')
      await assertAccounted(result, redis, numbered('k', 60), { holds })
      assertEquals([result.status, origin.cameMs.length], ['success', 180])
      assertEquals(result.tasks[0]?.originRequests, 181, 'the requests and the listing of keys')
      assertHeld(10)
    })

    it(`that is slow for a while is not overrun when it recovers (${where})`, TIMEOUT, async () => {
      let beganMs: number | undefined
      origin = await startCountingOrigin(() => {
        beganMs ??= Date.now()
        return { delayMs: Date.now() - beganMs < 2500 ? 1000 : 0 }
      })
      const result = await warm(workers, 150, 'concurrentWarmers: 10,')
      await assertAccounted(result, redis, numbered('k', 150), { holds })
      assertEquals([result.status, origin.cameMs.length], ['success', 150])
      assertHeld(10)
    })
  }

  it('whose task asks for large batches is kept to the same rate', TIMEOUT, async () => {
    origin = await startCountingOrigin(({ n }) => ({ delayMs: n < 20 ? 400 : 0 }))
    const result = await warm(0, 150, 'concurrentWarmers: 20,', 'batchSize: 100,')
    await assertAccounted(result, redis, numbered('k', 150), { holds })
    assertEquals([result.status, origin.cameMs.length], ['success', 150])
    assertHeld(20)
  })
})
