import { afterEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { ScheduleDefinition } from '../../src/config/control.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { SchedulerOptions } from '../../src/schedule/scheduler.ts'
import { turn } from '../fakes/clock.ts'
import { configWith, type FakeJob, instanceOn, type Shared, sharedAt } from './support.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('schedules', () => {
  const instances: ReturnType<typeof instanceOn>[] = []
  /** An instance whose one schedule is `nightly`; it has started. */
  async function startOn(
    shared: Shared,
    nightly: ScheduleDefinition | undefined,
    options: Partial<SchedulerOptions> = {},
  ) {
    const instance = instanceOn(shared, configWith(nightly === undefined ? {} : { nightly }), options)
    instances.push(instance)
    await instance.scheduler.start()
    return instance
  }
  afterEach(async () => {
    for (const { scheduler, warmer } of instances.splice(0)) {
      await scheduler.stop()
      for (const job of warmer.jobs) job.end()
      await scheduler.settled()
    }
  })

  it('have locks of their own, also where they are called as other locks are', async () => {
    const shared = sharedAt('2026-03-01T01:30:00Z')
    const hourly = { cron: '0 * * * *' }
    const one = instanceOn(shared, configWith({ warmup: hourly, rewarm: hourly, predict: hourly }))
    instances.push(one)
    // The hit rate is low, and another instance warms at its start, and folds a window.
    for (const name of ['warmup', 'rewarm', 'predict']) await one.locks.acquire(name, 'another')
    await one.scheduler.start()
    await one.clock.advance(HOUR)
    assertEquals([one.warmer.jobs.length, one.skips], [3, []])
    const fences = one.warmer.jobs.map(({ request }) => request.fence?.key)
    const expected = ['predict', 'rewarm', 'warmup'].map((name) => `cache:warmup:fence:schedule:${name}`)
    assertEquals(fences.sort(), expected)
  })

  it('run at their due times, under their lock, and are noted', async () => {
    const shared = sharedAt('2026-03-01T01:30:00Z')
    const one = await startOn(shared, {
      cron: '0 2 * * *',
      tags: ['catalog'],
      limit: 5,
      priority: 9,
      params: { days: 1 },
    })
    assertEquals((await one.scheduler.list())[0]?.nextRunAt, '2026-03-01T02:00:00.000Z')
    await one.clock.advance(25 * HOUR)
    assertEquals(one.warmer.times, ['2026-03-01T02:00:00.000Z', '2026-03-02T02:00:00.000Z'])
    const [{ request, id, traceId }] = one.warmer.jobs as [FakeJob, FakeJob]
    const { signal, ...rest } = request
    assertEquals(signal?.aborted, false)
    const { fence, ...asked } = rest
    assertEquals(asked, {
      tags: ['catalog'],
      params: { days: 1 },
      count: 5,
      priority: 9,
      traceId,
      source: 'schedule',
      schedule: 'nightly',
    })
    const tokens = one.warmer.jobs.map((job) => job.request.fence?.token as number)
    assertEquals([fence?.key, tokens[1]], ['cache:warmup:fence:nightly', (tokens[0] as number) + 1])
    assertEquals(one.told('schedule_fired')[0], {
      type: 'schedule_fired',
      schedule: 'nightly',
      job_id: id,
      trace_id: traceId,
    })
    assertEquals(one.locks.attempts[0], { name: 'nightly', holder: traceId, held: true })
    assertEquals(shared.table.held.size, 0, 'released')
    assertEquals(shared.store.runs, [
      { name: 'nightly', at: '2026-03-01T02:00:00.000Z', status: 'success', jobId: 'job-1' },
      { name: 'nightly', at: '2026-03-02T02:00:00.000Z', status: 'success', jobId: 'job-2' },
    ])
    const [view] = await one.scheduler.list()
    assertEquals(
      [view?.lastRunAt, view?.lastStatus, view?.lastJobId, view?.nextRunAt, view?.running],
      ['2026-03-02T02:00:00.000Z', 'success', 'job-2', '2026-03-03T02:00:00.000Z', false],
    )
  })

  it('go by their time zone when clocks change', async () => {
    const one = await startOn(sharedAt('2026-03-28T00:00:00Z'), { cron: '30 2 * * *', timeZone: 'Europe/Berlin' })
    await one.clock.advance(3 * 24 * HOUR)
    assertEquals(one.warmer.times, ['2026-03-28T01:30:00.000Z', '2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'])
    const autumn = await startOn(sharedAt('2026-10-24T12:00:00Z'), { cron: '30 2 * * *', timeZone: 'Europe/Berlin' })
    await autumn.clock.advance(36 * HOUR)
    assertEquals(autumn.warmer.times, ['2026-10-25T00:30:00.000Z'])
  })

  it('begin within their jitter, and never past the run after', async () => {
    for (const chance of [0, 0.5, 0.999]) {
      const shared = sharedAt('2026-03-01T00:00:30Z')
      const one = await startOn(shared, { cron: '*/10 * * * *', jitter: '1m' }, { random: () => chance })
      const often = await startOn(
        sharedAt('2026-03-01T00:00:30Z'),
        { interval: '1m', jitter: '1h' },
        { random: () => chance },
      )
      await one.clock.advance(31 * MINUTE)
      await often.clock.advance(5 * MINUTE)
      const lateMs = one.warmer.jobs.map(({ atMs }) => atMs % (10 * MINUTE))
      assertEquals(lateMs, Array(3).fill(chance * MINUTE))
      assertEquals(shared.store.runs[0]?.at, '2026-03-01T00:10:00.000Z', 'what is noted is the due time')
      const pauses = often.warmer.jobs.map(({ atMs }) => atMs % MINUTE)
      assertEquals(pauses, Array(pauses.length).fill(chance * MINUTE))
      assert(pauses.length >= 4)
    }
  })

  it('do not overlap', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:30Z'), { cron: '* * * * *' })
    one.warmer.hold = true
    await one.clock.advance(3 * MINUTE)
    assertEquals([one.warmer.jobs.length, one.skips], [1, ['overlap', 'overlap']])
    assertEquals((await one.scheduler.list())[0]?.running, true)
    one.warmer.jobs[0]?.end('partial')
    await one.clock.advance(MINUTE)
    assertEquals([one.warmer.jobs.length, one.store.runs.length, one.store.runs[0]?.status], [2, 1, 'partial'])
  })

  it('run once over two instances that come at the same moment; the other says who holds the lock', async () => {
    const shared = sharedAt('2026-03-01T00:00:30Z')
    const both = [await startOn(shared, { cron: '* * * * *' }), await startOn(shared, { cron: '* * * * *' })]
    for (const { warmer } of both) warmer.hold = true
    await shared.clock.advance(MINUTE)
    const jobs = both.flatMap(({ warmer }) => warmer.jobs)
    assertEquals(jobs.length, 1)
    const holder = jobs[0]?.traceId as string
    assertEquals(
      both.flatMap((one) => one.told('schedule_skipped')),
      [{ type: 'schedule_skipped', schedule: 'nightly', reason: 'locked', holder }],
    )
  })

  it('run once also where one instance comes to it when the other is done, with a clock that is behind', async () => {
    const shared = sharedAt('2026-03-01T00:00:30Z')
    const first = await startOn(shared, { cron: '*/10 * * * *' })
    const late = await startOn(shared, { cron: '*/10 * * * *', jitter: '2m' }, { random: () => 0.9 })
    await shared.clock.advance(HOUR + 2 * MINUTE)
    assertEquals([first.warmer.jobs.length, late.warmer.jobs.length], [6, 0])
    assertEquals(late.skips, Array(6).fill('locked'))
  })

  it('never run without their lock: while Redis is away they wait, and run when it is back', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:30Z'), { cron: '0 * * * *' })
    await one.clock.advance(30 * MINUTE)
    one.locks.isDown = true
    one.store.isDown = true
    await one.clock.advance(31 * MINUTE)
    assertEquals([one.warmer.jobs.length, one.skips], [0, []])
    one.locks.isDown = false
    await one.clock.advance(20_000)
    assertEquals(one.warmer.jobs.length, 0, 'the last run can not be looked up')
    one.store.isDown = false
    await one.clock.advance(10_000)
    assertEquals([one.warmer.jobs.length, one.store.runs[0]?.at], [1, '2026-03-01T01:00:00.000Z'])
    one.locks.isDown = true
    await one.clock.advance(70 * MINUTE)
    assertEquals([one.warmer.jobs.length, one.skips], [1, ['missed']], 'given up after five minutes')
    assertEquals(one.clock.pending, 1)
  })

  it('lose their job with their lock, and note nothing then', async () => {
    const shared = sharedAt('2026-03-01T00:00:30Z')
    const one = await startOn(shared, { cron: '0 * * * *' })
    one.warmer.hold = true
    await one.clock.advance(HOUR)
    shared.table.take('nightly')
    await turn()
    assertEquals([one.warmer.jobs[0]?.status, shared.store.runs.length], ['cancelled', 0])
    await one.clock.advance(HOUR)
    assertEquals(one.warmer.jobs.length, 2)
  })

  it('note later what could not be noted', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:30Z'), { cron: '0 * * * *' })
    one.warmer.hold = true
    await one.clock.advance(HOUR)
    one.store.isDown = true
    one.warmer.jobs[0]?.end()
    await one.clock.advance(MINUTE)
    assertEquals((await one.scheduler.list())[0]?.lastRunAt, '2026-03-01T01:00:00.000Z')
    one.store.isDown = false
    await one.clock.advance(MINUTE)
    assertEquals([one.store.runs.length, (await one.store.load())[0]?.lastJobId], [1, 'job-1'])
  })

  it('a request that can’t be met is a failed run', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:30Z'), { cron: '0 * * * *' })
    one.warmer.error = new PrewarmError('TASK_UNKNOWN', "There is no task 'films'")
    await one.clock.advance(HOUR)
    assertEquals(one.store.runs, [{ name: 'nightly', at: '2026-03-01T01:00:00.000Z', status: 'failed', jobId: null }])
    one.warmer.error = null
    await one.clock.advance(HOUR)
    assertEquals(one.warmer.jobs.length, 1)
  })

  it('take a changed configuration over', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:30Z'), { cron: '0 * * * *' })
    one.config = configWith({ other: { interval: '10m', tasks: ['users'] } })
    await one.clock.advance(21 * MINUTE)
    assertEquals(
      one.warmer.jobs.map(({ request }) => request.schedule),
      ['other', 'other'],
    )
    assertEquals(
      (await one.scheduler.list()).map(({ name, origin }) => [name, origin]),
      [['other', 'config']],
    )
  })

  it('a change that leaves the times as they are does not lose a run that waits for its jitter', async () => {
    const shared = sharedAt('2026-03-01T00:59:00Z')
    const one = await startOn(shared, { cron: '0 * * * *', jitter: '10m' }, { random: () => 0.5 })
    await one.clock.advance(3 * MINUTE)
    one.config = configWith({ nightly: { cron: '0 * * * *', jitter: '10m', priority: 5 } })
    await one.clock.advance(4 * MINUTE)
    assertEquals(
      one.warmer.jobs.map(({ request }) => request.priority),
      [5],
    )
  })

  it('stop leaves no timer, begins nothing, and leaves jobs to the warmer', async () => {
    const shared = sharedAt('2026-03-01T00:00:30Z')
    const one = await startOn(shared, { cron: '0 * * * *', tags: ['catalog'], predictive: true })
    one.hot.push('film:1')
    one.warmer.hold = true
    await one.clock.advance(HOUR)
    await Promise.all([one.scheduler.stop(), one.scheduler.stop()])
    assertEquals([one.clock.pending, shared.table.held.size], [0, 1])
    one.warmer.jobs[0]?.end()
    await one.scheduler.settled()
    assertEquals([one.warmer.jobs.length, shared.table.held.size, shared.store.runs.length], [1, 0, 1])
    await one.clock.advance(HOUR)
    assertEquals(one.warmer.jobs.length, 1)
    const codes = await Promise.all(
      [one.scheduler.start(), one.scheduler.runNow('nightly')].map((work) => work.then(String, ({ code }) => code)),
    )
    assertEquals(codes, ['STOPPED', 'STOPPED'])
  })

  it('a job that was stopped with the program is not noted, so that it can be caught up', async () => {
    const shared = sharedAt('2026-03-01T00:00:30Z')
    const one = await startOn(shared, { cron: '0 * * * *' })
    await one.clock.advance(HOUR)
    one.warmer.hold = true
    await one.clock.advance(HOUR)
    await one.scheduler.stop()
    one.warmer.jobs[1]?.cancel()
    await one.scheduler.settled()
    assertEquals([shared.store.runs.length, shared.table.held.size], [1, 0])
    const next = await startOn(shared, { cron: '0 * * * *', catchUp: true })
    await turn()
    assertEquals([next.warmer.times, shared.store.runs[1]?.at], [[next.clock.now], '2026-03-01T02:00:00.000Z'])
  })

  it('a due time that passes between the start and the first answer of the store is not lost', async () => {
    const shared = sharedAt('2026-03-01T00:59:50Z')
    shared.store.isDown = true
    const one = await startOn(shared, { cron: '0 * * * *' })
    await one.clock.advance(15_000)
    shared.store.isDown = false
    await one.clock.advance(15_000)
    assertEquals(
      one.store.runs.map(({ at }) => at),
      ['2026-03-01T01:00:00.000Z'],
    )
  })
})
