import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { z } from 'zod'
import { type LoadOptions, load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import { turn } from './fakes/clock.ts'
import { keys } from './fakes/tasks.ts'
import { benchOf } from './fakes/warmer.ts'

const task = (options: Partial<LoadOptions> = {}) =>
  load({
    key: 'k:{id}',
    select: () => keys(12),
    load: (wanted) => new Map(wanted.map((key) => [key, { key }])),
    ...options,
  })

describe('Warmer, how jobs end', () => {
  it('a job whose parameters JSON can not hold ends, and is remembered', async () => {
    const params = { since: z.bigint().default(1n) }
    const { warmer, clock } = benchOf({ one: task({ params: z.object(params) }) })
    const job = warmer.submit({ params: { since: 2n } })
    await clock.until(job.noted)
    assertEquals((await clock.until(job.result)).status, 'success')
    const record = await warmer.job(job.id)
    assertEquals([record?.status, record?.request.params], ['success', { since: '2' }])
  })

  it('a job ends also where the list of jobs breaks its word and throws', async () => {
    const { warmer, clock, jobLog } = benchOf({ one: task() })
    jobLog.begin = () => Promise.reject(new Error('broken'))
    jobLog.end = () => Promise.reject(new Error('broken'))
    const job = warmer.submit()
    await clock.until(job.noted)
    assertEquals((await clock.until(job.result)).status, 'success')
    assertEquals(warmer.status().activeJobs, 0)
  })

  it('a job runs until its end is noted, so that stop and a drain wait for that', async () => {
    const { warmer, clock, jobLog } = benchOf({ one: task() })
    const noting = Promise.withResolvers<void>()
    const end = jobLog.end.bind(jobLog)
    jobLog.end = async (record) => {
      await noting.promise
      await end(record)
    }
    const job = warmer.submit()
    await clock.advance(5000)
    assertEquals(warmer.status().activeJobs, 1)
    const { status, result } = (await warmer.job(job.id)) ?? {}
    assertEquals([status, result?.keys.written], ['success', 12])
    assertEquals(await warmer.cancel(job.id), false)
    let isStopped = false
    const stopping = warmer.stop().then(() => {
      isStopped = true
    })
    await clock.advance(5000)
    assertEquals(isStopped, false)
    noting.resolve()
    await clock.until(stopping)
    assertEquals((await jobLog.get(job.id))?.status, 'success')
    assertEquals(clock.pending, 0)
  })

  it('a job that was done when everything was stopped is not left to be done again', async () => {
    const { warmer, clock, jobLog, store } = benchOf({ one: task() })
    const looking = Promise.withResolvers<number[]>()
    store.ttlsMs = () => looking.promise
    const job = warmer.submit()
    await clock.advance(100)
    assertEquals(warmer.status().activeJobs, 1)
    const stopping = warmer.stop()
    looking.resolve(new Array(12).fill(1000))
    await clock.until(stopping)
    assertEquals([(await job.result).status, (await jobLog.get(job.id))?.status], ['success', 'success'])
    assertEquals(clock.pending, 0)
  })

  it('a task that the configuration has no more while it is planned holds no keys once its job has ended', async () => {
    const listed = Promise.withResolvers<string[]>()
    let asked = 0
    const { warmer, clock } = benchOf({
      one: task({ select: () => (asked++ === 0 ? listed.promise : keys(12)) }),
      two: task({ key: 'two:{id}', select: () => ['two:1'] }),
    })
    const { config } = warmer
    const job = warmer.submit()
    await clock.advance(2000)
    const { one: _, ...left } = config.definition.tasks
    const tasks = new Map([...config.tasks].filter(([name]) => name !== 'one'))
    await warmer.reload({ ...config, tasks, definition: { ...config.definition, tasks: left } })
    const result = await clock.until(job.result)
    assertEquals(
      result.tasks.map(({ status }) => status),
      ['failed', 'success'],
    )
    listed.resolve(keys(12))
    await turn()
    await warmer.reload(config)
    const again = await clock.until(warmer.submit({ tasks: ['one'] }).result)
    assertEquals([again.status, again.keys.written], ['success', 12])
  })

  it('cancel of a job that another instance runs is refused, and says whose it is', async () => {
    const { warmer, clock, jobLog } = benchOf({ one: task() })
    const job = warmer.submit()
    await clock.until(job.result)
    const record = (await jobLog.get(job.id)) as NonNullable<Awaited<ReturnType<typeof jobLog.get>>>
    await jobLog.begin({ ...record, id: 'theirs', instance: 'there', status: 'queued', result: null })
    const error = await assertRejects(() => warmer.cancel('theirs'), PrewarmError)
    assertEquals([error.code, error.message.includes("'there'")], ['CONFLICT', true])
    assertEquals([await warmer.cancel(job.id), await warmer.cancel('none')], [false, null])
  })

  it('a job whose fence is passed asks the origin no further, also where other errors came first', async () => {
    let asked = 0
    const bench = benchOf(
      {
        one: task({
          select: () => keys(400),
          batchSize: 4,
          load: async (wanted, { signal }) => {
            asked++
            await bench.clock.sleep(100, signal)
            return new Map(wanted.slice(1).map((key) => [key, { key }]))
          },
        }),
      },
      { concurrentWarmers: 2 },
    )
    const job = bench.warmer.submit({ fence: { key: 'fence', token: 1 } })
    await bench.clock.advance(250)
    bench.store.setFence('fence', 2)
    const { status, keys: counts, tasks } = await bench.clock.until(job.result)
    assertEquals([status, tasks[0]?.firstError?.code, asked], ['partial', 'LOCK_LOST', 6])
    assertEquals([counts.planned, counts.written], [400, 12])
  })

  it('isWarm is for whole tasks: neither keys by name nor a job that was cancelled make a cache warm', async () => {
    const { warmer, clock } = benchOf({ one: task() })
    await clock.until(warmer.submit({ keys: ['k:1'] }).result)
    const job = warmer.submit()
    job.cancel()
    await clock.until(job.result)
    assertEquals([warmer.isWarm, warmer.status().totals.jobs], [false, 2])
    await clock.until(warmer.submit().result)
    assertEquals(warmer.isWarm, true)
  })

  it('a task that was stopped while everything is halted does not count as queued', async () => {
    const { warmer, clock } = benchOf({ one: task({ load: () => new Promise(() => {}) }) })
    const job = warmer.submit({ batchSize: 1 })
    await clock.advance(10)
    await clock.until(warmer.halt())
    job.cancel()
    await clock.until(job.result)
    const { queuedTasks, queueDepth } = warmer.status()
    assertEquals([queuedTasks, queueDepth.size], [0, 0])
  })
})
