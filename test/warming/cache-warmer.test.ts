import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import type { StartupOutcome } from '../../src/schedule/startup.ts'
import type { JobRequest } from '../../src/types.ts'
import { createCacheWarmer, type WarmingMetrics } from '../../src/warming/cache-warmer.ts'
import { turn } from '../fakes/clock.ts'
import { FakeFacade, resultOf } from '../fakes/facade.ts'

const OK: StartupOutcome = { did: 'warmed', result: resultOf('job-9', 'f'.repeat(32), ['films'], 'partial') }

/** A cache warmer over a facade without anything behind it, whose jobs and startup end when the test says so. */
function bench() {
  const facade = new FakeFacade()
  const startups: PromiseWithResolvers<StartupOutcome>[] = []
  const cacheWarmer = createCacheWarmer({
    warmer: {
      clock: facade.clock,
      submit: (request?: JobRequest) => facade.submit(request),
      warmOnStartup() {
        const startup = Promise.withResolvers<StartupOutcome>()
        startups.push(startup)
        return startup.promise
      },
    },
  })
  return { facade, cacheWarmer, startups }
}

const job = ({ facade }: ReturnType<typeof bench>, at = 0) => facade.submitted[at] ?? noJob()

function noJob(): never {
  throw new Error('no job was submitted')
}

describe('createCacheWarmer', () => {
  it('runs one job to its end and tells how it went', async () => {
    const one = bench()
    assertEquals(one.cacheWarmer.lastMetrics, null)
    const warming = one.cacheWarmer.warmCache({
      tasks: ['films'],
      tags: ['catalog'],
      keys: ['film:1'],
      params: { limit: 3 },
      limit: 20,
      timeout: '30s',
    })
    const { signal: _, ...request } = job(one).request
    assertEquals(request, {
      tasks: ['films'],
      tags: ['catalog'],
      keys: ['film:1'],
      params: { limit: 3 },
      count: 20,
      timeoutMs: 30_000,
    })
    one.facade.clock.tick(1500)
    job(one).end('partial')
    const metrics: WarmingMetrics = await warming
    assertEquals(metrics, {
      startTime: '2023-11-14T22:13:20.000Z',
      endTime: '2023-11-14T22:13:21.500Z',
      durationMs: 1500,
      keys: 2,
      errors: 1,
      firstError: { code: 'ORIGIN_NO_VALUE', message: 'no value', key: 'film:3' },
      status: 'partial',
      jobId: 'job-1',
    })
    assertEquals(one.cacheWarmer.lastMetrics, metrics)
  })

  it('tells of the running one as far as it is', async () => {
    const one = bench()
    const warming = one.cacheWarmer.warmCache()
    assertEquals(job(one).request, {})
    one.facade.clock.tick(250)
    const progress = { total: null, estimated: false, keysPerSecond: 0, finished: false }
    job(one).progress = () => [
      { task: 'films', done: 5, failed: 1, ...progress },
      { task: 'rates', done: 2, failed: 2, ...progress },
    ]
    assertEquals(one.cacheWarmer.lastMetrics, {
      startTime: '2023-11-14T22:13:20.000Z',
      endTime: null,
      durationMs: 250,
      keys: 4,
      errors: 3,
      firstError: null,
      status: 'running',
      jobId: 'job-1',
    })
    job(one).end()
    assertEquals((await warming).status, 'success')
  })

  it('does not reject for a job that fails', async () => {
    const one = bench()
    for (const [at, status] of (['failed', 'cancelled', 'skipped'] as const).entries()) {
      const warming = one.cacheWarmer.warmCache()
      job(one, at).end(status)
      assertEquals((await warming).status, status)
      assertEquals(one.cacheWarmer.lastMetrics?.status, status)
    }
  })

  it('counts a task that could not be read as an error', async () => {
    const one = bench()
    const failure = { code: 'ORIGIN_UNREACHABLE', message: 'no database' } as const
    const keys = { planned: 0, written: 0, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
    const ended = resultOf('job-1', 'f'.repeat(32), ['films', 'rates'], 'failed')
    const tasks = ended.tasks.map((task) => ({ ...task, keys, firstError: failure }))
    const submit = one.facade.submit.bind(one.facade)
    const cacheWarmer = createCacheWarmer({
      warmer: {
        clock: one.facade.clock,
        submit: (request) => Object.assign(submit(request), { result: Promise.resolve({ ...ended, keys, tasks }) }),
        warmOnStartup: async () => OK,
      },
    })
    const { errors, keys: count, firstError } = await cacheWarmer.warmCache()
    assertEquals([errors, count, firstError], [2, 0, failure])
  })

  it('rejects for a request that can not be met, and remembers nothing of it', async () => {
    const one = bench()
    const refused = await assertRejects(() => one.cacheWarmer.warmCache({ tasks: ['nope'] }), PrewarmError)
    assertEquals(refused.code, 'TASK_UNKNOWN')
    for (const [options, message] of [
      [{ limit: 0 }, 'limit is 0, expected a whole number from 1 to 1000000'],
      [{ limit: 2.5 }, 'limit is 2.5, expected'],
      [{ timeout: 'soon' }, "timeout is 'soon', expected ms as a number, or text such as '5m'"],
      [{ timeout: 0 }, "timeout is '0', expected"],
    ] as const) {
      const error = await assertRejects(() => one.cacheWarmer.warmCache(options), PrewarmError, message)
      assertEquals(error.code, 'USAGE')
    }
    assertEquals([one.cacheWarmer.lastMetrics, one.facade.submitted.length], [null, 0])
  })

  it('keeps calls at the same time apart; the last is the one that began last', async () => {
    const one = bench()
    const first = one.cacheWarmer.warmCache({ tasks: ['films'] })
    one.facade.clock.tick(10)
    const second = one.cacheWarmer.warmCache({ tasks: ['rates'] })
    one.facade.clock.tick(10)
    job(one, 0).end('failed')
    const mine = await first
    assertEquals([mine.jobId, mine.status, mine.durationMs], ['job-1', 'failed', 20])
    assertEquals([one.cacheWarmer.lastMetrics?.jobId, one.cacheWarmer.lastMetrics?.status], ['job-2', 'running'])
    one.facade.clock.tick(5)
    job(one, 1).end()
    const theirs = await second
    assertEquals([theirs.jobId, theirs.status, theirs.durationMs], ['job-2', 'success', 15])
    theirs.keys = 99
    mine.status = 'success'
    assertEquals([one.cacheWarmer.lastMetrics?.keys, one.cacheWarmer.lastMetrics?.jobId], [2, 'job-2'])
  })

  it('warms once at the start, however often it is asked', async () => {
    const one = bench()
    const both = [one.cacheWarmer.warmOnStartup(), one.cacheWarmer.warmOnStartup()]
    assertEquals([one.startups.length, one.cacheWarmer.lastMetrics?.status], [1, 'running'])
    one.facade.clock.tick(700)
    one.startups[0]?.resolve(OK)
    for (const { status, keys, errors, durationMs, jobId } of await Promise.all(both))
      assertEquals([status, keys, errors, durationMs, jobId], ['partial', 2, 1, 700, 'job-9'])
    await one.cacheWarmer.warmOnStartup()
    assertEquals([one.startups.length, one.cacheWarmer.lastMetrics?.status], [1, 'partial'])
  })

  it('says why nothing was warmed at the start', async () => {
    const failure = { code: 'STORE_UNREACHABLE', message: 'no Redis' } as const
    for (const [outcome, status, errors, firstError] of [
      [{ did: 'skipped', holder: 'other-1' }, 'skipped', 0, null],
      [{ did: 'stopped' }, 'cancelled', 0, null],
      [{ did: 'failed', failure }, 'failed', 1, failure],
    ] as const) {
      const one = bench()
      const warming = one.cacheWarmer.warmOnStartup()
      await turn()
      one.startups[0]?.resolve(outcome)
      const metrics = await warming
      assertEquals([metrics.status, metrics.errors, metrics.firstError], [status, errors, firstError])
      assertEquals(one.cacheWarmer.lastMetrics, metrics)
    }
  })
})
