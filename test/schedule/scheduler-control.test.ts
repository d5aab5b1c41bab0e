import { afterEach, describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { ScheduleDefinition } from '../../src/config/control.ts'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { configWith, everyMinute, instanceOn, type Shared, sharedAt } from './support.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => work, PrewarmError)).code
}

describe('the schedules', () => {
  const instances: ReturnType<typeof instanceOn>[] = []
  async function startOn(shared: Shared, nightly?: ScheduleDefinition) {
    const instance = instanceOn(shared, configWith(nightly === undefined ? {} : { nightly }))
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

  it('that were registered run, on every instance that looks, until they are removed', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const here = await startOn(shared)
    const there = await startOn(shared)
    const view = await here.scheduler.add('often', everyMinute())
    assertEquals([view.origin, view.nextRunAt, view.lastRunAt], ['custom', '2026-03-01T00:01:00.000Z', null])
    assertEquals(here.told('schedule_changed'), [{ type: 'schedule_changed', schedule: 'often', change: 'added' }])
    await shared.clock.advance(3 * MINUTE)
    assertEquals([...here.warmer.times, ...there.warmer.times].sort(), [
      '2026-03-01T00:01:00.000Z',
      '2026-03-01T00:02:00.000Z',
      '2026-03-01T00:03:00.000Z',
    ])
    assertEquals(here.skips.length + there.skips.length, 3)
    assertEquals(
      (await there.scheduler.list()).map(({ name }) => name),
      ['often'],
    )

    await there.scheduler.remove('often')
    await shared.clock.advance(5 * MINUTE)
    assertEquals([here.warmer.jobs.length + there.warmer.jobs.length, await here.scheduler.list()], [3, []])
    assertEquals(await codeOf(here.scheduler.remove('often')), 'NOT_FOUND')
  })

  it('one that was removed elsewhere a moment ago does not run', async () => {
    const shared = sharedAt('2026-03-01T00:00:55Z')
    const here = await startOn(shared)
    await here.scheduler.add('often', everyMinute())
    await shared.store.remove('often')
    await shared.clock.advance(5000)
    assertEquals([here.warmer.jobs.length, shared.table.held.size, await shared.store.load()], [0, 0, []])
  })

  it('one that is registered while the store is read is not lost by what was read before', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const { scheduler, store } = await startOn(shared)
    const load = store.load.bind(store)
    let answer = () => {}
    const wait = new Promise<void>((resolve) => {
      answer = resolve
    })
    store.load = async () => {
      store.load = load
      const old = await load()
      await wait
      return old
    }
    const reading = scheduler.list()
    await scheduler.add('often', everyMinute())
    answer()
    assertEquals(
      (await reading).map(({ name }) => name),
      ['often'],
    )
  })

  it('survive a restart', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const first = await startOn(shared)
    await first.scheduler.add('often', everyMinute())
    await first.scheduler.stop()
    const second = await startOn(shared)
    await shared.clock.advance(MINUTE)
    assertEquals([first.warmer.jobs.length, second.warmer.jobs.length], [0, 1])
  })

  it('names are taken once, also by the configuration, and there are at most 200', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const { scheduler, store } = await startOn(shared, { preset: 'full' })
    for (let number = 1; number < 200; number++) await scheduler.add(`s-${number}`, everyMinute())
    assertEquals(await codeOf(scheduler.add('nightly', everyMinute())), 'CONFLICT')
    assertEquals(await codeOf(scheduler.add('s-1', everyMinute())), 'CONFLICT')
    assertEquals(await codeOf(scheduler.add('bad', everyMinute({ cron: 'never' }))), 'REQUEST_INVALID')
    assertEquals(await codeOf(scheduler.remove('nightly')), 'CONFLICT')
    await scheduler.add('s-200', everyMinute())
    assertEquals(await codeOf(scheduler.add('s-201', everyMinute())), 'REQUEST_INVALID')
    assertEquals((await store.load()).length, 200)
  })

  it('one that is paused skips, here and elsewhere, also after a restart; resumed, it goes on', async () => {
    const shared = sharedAt('2026-03-01T00:59:58Z')
    const here = await startOn(shared, { cron: '*/10 * * * *' })
    const there = await startOn(shared, { cron: '*/10 * * * *' })
    const paused = await here.scheduler.pause('nightly')
    assertEquals([paused.paused, paused.nextRunAt], [true, null])
    // The other has not read that yet; it learns of it under the lock.
    await shared.clock.advance(3000)
    assertEquals([here.skips, there.skips, there.warmer.jobs.length], [['paused'], ['paused'], 0])
    await here.scheduler.stop()
    const again = await startOn(shared, { cron: '*/10 * * * *' })
    await shared.clock.advance(10 * MINUTE)
    assertEquals([again.skips, again.warmer.jobs.length], [['paused'], 0])
    assertEquals((await there.scheduler.resume('nightly')).nextRunAt, '2026-03-01T01:20:00.000Z')
    await shared.clock.advance(10 * MINUTE)
    assertEquals(again.warmer.jobs.length + there.warmer.jobs.length, 1)
    await there.scheduler.resume('nightly')
    assertEquals(
      [...here.told('schedule_changed'), ...there.told('schedule_changed')].map(
        (event) => 'change' in event && event.change,
      ),
      ['paused', 'resumed'],
    )
    assertEquals(await codeOf(there.scheduler.pause('other')), 'NOT_FOUND')
  })

  it('run now: also a paused one, under the lock, and not twice', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const here = await startOn(shared, { cron: '0 2 * * *' })
    const there = await startOn(shared, { cron: '0 2 * * *' })
    await here.scheduler.pause('nightly')
    here.warmer.hold = true
    const trace = 'a'.repeat(32)
    const job = await here.scheduler.runNow('nightly', trace)
    assertEquals([job.traceId, here.locks.attempts[0]?.holder], [trace, trace])
    assertEquals(await codeOf(here.scheduler.runNow('nightly')), 'CONFLICT')
    assertEquals(await codeOf(there.scheduler.runNow('nightly')), 'CONFLICT')
    assertEquals(await codeOf(there.scheduler.runNow('other')), 'NOT_FOUND')
    assertEquals(await codeOf(here.scheduler.runNow('nightly', 'short')), 'USAGE')
    here.warmer.jobs[0]?.end()
    await turn()
    assertEquals(shared.store.runs, [
      { name: 'nightly', at: '2026-03-01T00:00:10.000Z', status: 'success', jobId: 'job-1' },
    ])
    await there.scheduler.runNow('nightly')
    assertEquals(there.warmer.jobs.length, 1)
  })

  it('without a start they can be looked at and run', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const { scheduler, warmer, clock } = instanceOn(shared, configWith({ nightly: { cron: '0 2 * * *' } }))
    assertEquals((await scheduler.list())[0]?.nextRunAt, '2026-03-01T02:00:00.000Z')
    await scheduler.runNow('nightly')
    await scheduler.settled()
    assertEquals([warmer.jobs.length, clock.pending], [1, 0])
  })

  it('with the store away they are listed as last known, and can’t be changed', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const { scheduler, store, locks } = await startOn(shared, { preset: 'full' })
    await scheduler.add('often', everyMinute())
    store.isDown = true
    locks.isDown = true
    assertEquals(
      (await scheduler.list()).map(({ name }) => name),
      ['nightly', 'often'],
    )
    const tried = [scheduler.add('x', everyMinute()), scheduler.pause('often'), scheduler.runNow('often')]
    for (const work of tried) assertEquals(await codeOf(work), 'STORE_UNREACHABLE')
  })

  it('predicted keys come after the tasks, under the same trace id, lock and fence', async () => {
    const shared = sharedAt('2026-03-01T01:59:00Z')
    const one = await startOn(shared, { preset: 'daily', limit: 30, priority: 7 })
    one.hot.push('film:1', 'user:2')
    one.warmer.hold = true
    await one.clock.advance(MINUTE)
    assertEquals([one.warmer.jobs.length, one.asked], [1, []])
    one.warmer.jobs[0]?.end('partial')
    await turn()
    assertEquals(one.asked, [{ limit: 30, windowMs: HOUR }])
    const [first, second] = one.warmer.jobs.map(({ request }) => request)
    assertEquals([second?.keys, second?.tasks, second?.priority], [['film:1', 'user:2'], undefined, 7])
    assertEquals([first?.critical, first?.keys, first?.count], [true, undefined, 30])
    assertEquals([second?.traceId, second?.fence, second?.signal], [first?.traceId, first?.fence, first?.signal])
    assertEquals([shared.table.held.size, shared.store.runs.length], [1, 0])
    one.warmer.jobs[1]?.end()
    await turn()
    assertEquals([shared.table.held.size, shared.store.runs[0]?.status], [0, 'partial'])
    assertEquals(one.told('schedule_fired').length, 2)
  })

  it('warm only predicted keys where no tasks are named; none predicted is no job, and a success', async () => {
    const shared = sharedAt('2026-03-01T01:59:00Z')
    const one = await startOn(shared, { preset: 'hourly' })
    await one.clock.advance(MINUTE)
    assertEquals([one.warmer.jobs.length, one.asked, shared.table.held.size], [0, [{ limit: 50, windowMs: HOUR }], 0])
    assertEquals(shared.store.runs[0], {
      name: 'nightly',
      at: '2026-03-01T02:00:00.000Z',
      status: 'success',
      jobId: null,
    })
    assertEquals(await codeOf(one.scheduler.runNow('nightly')), 'KEYS_UNMATCHED')
    one.hot.push('foreign:1')
    await one.clock.advance(HOUR)
    assertEquals([one.warmer.jobs.length, shared.store.runs.at(-1)?.status], [0, 'success'])
    one.hot.push('film:1')
    await one.clock.advance(HOUR)
    assertEquals([one.warmer.jobs.length, shared.store.runs.at(-1)?.jobId], [1, 'job-1'])
  })

  it('a cancelled job is not followed by predicted keys', async () => {
    const shared = sharedAt('2026-03-01T01:59:00Z')
    const one = await startOn(shared, { preset: 'daily' })
    one.hot.push('film:1')
    one.warmer.status = 'cancelled'
    await one.clock.advance(MINUTE)
    assertEquals([one.warmer.jobs.length, shared.store.runs[0]?.status], [1, 'cancelled'])
  })

  it('what the store holds and nobody understands stays out of the way', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const broken = { name: 'broken', spec: { cron: 'bad' }, origin: 'custom', paused: false }
    const never = { lastRunAt: null, lastStatus: null, lastJobId: null }
    await shared.store.save({ ...broken, ...never } as never)
    await shared.store.save({ ...broken, ...never, name: 'hollow', spec: undefined } as never)
    const one = await startOn(shared, { cron: '* * * * *' })
    await shared.clock.advance(2 * MINUTE)
    assertEquals(one.warmer.jobs.length, 2)
    assertEquals(
      (await one.scheduler.list()).map(({ name, nextRunAt }) => [name, nextRunAt === null]),
      [
        ['broken', true],
        ['nightly', false],
      ],
    )
    await one.scheduler.remove('broken')
  })
})
