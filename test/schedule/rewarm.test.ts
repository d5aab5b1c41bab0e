import { afterEach, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { RewarmSettings } from '../../src/config/service-settings.ts'
import { PrewarmError } from '../../src/errors.ts'
import { EventLog } from '../../src/events/event-log.ts'
import { Rewarm } from '../../src/schedule/rewarm.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { LockTable, MemoryLocks } from '../fakes/locks.ts'
import { checkAsync } from '../support/property.ts'
import { FakeSubmit } from './support.ts'

const MINUTE = 60_000
const SETTINGS: RewarmSettings = {
  below: 0.85,
  above: 0.9,
  minReads: 100,
  everyMs: MINUTE,
  tasks: ['films'],
  tags: undefined,
}

function watch(table = new LockTable(), settings: Partial<RewarmSettings> = {}, clock = new FakeClock()) {
  const warmer = new FakeSubmit(clock)
  const locks = new MemoryLocks(table)
  const events = new EventLog({ clock })
  const sums = { hits: 1000, misses: 1000 }
  const state = { isBusy: false, isDown: false }
  const rewarm = new Rewarm({
    settings: { ...SETTINGS, ...settings },
    readHits: async () => {
      if (state.isDown) throw new PrewarmError('STORE_UNREACHABLE', 'Redis is down')
      return { ...sums }
    },
    submit: (request) => {
      const job = warmer.submit(request)
      events.emit({
        type: 'job_started',
        job_id: job.id,
        trace_id: job.traceId,
        source: 'rewarm',
        strategy: 'priority',
        tasks: [],
      })
      return job
    },
    locks,
    events,
    clock,
    isBusy: () => state.isBusy,
  })
  /** A minute in which this was read. */
  const read = async (hits: number, misses: number) => {
    sums.hits += hits
    sums.misses += misses
    await clock.advance(MINUTE)
  }
  return { clock, warmer, locks, events, sums, state, rewarm, read, table }
}

describe('warming when the hit rate falls', () => {
  let one: ReturnType<typeof watch>
  beforeEach(async () => {
    one = watch()
    one.rewarm.start()
    await one.clock.advance(MINUTE)
  })
  afterEach(() => one.rewarm.stop())

  it('below the bound it warms once, and not again before the rate was above the other', async () => {
    await one.read(85, 15)
    assertEquals(one.warmer.jobs.length, 0, '85 % is not below 85 %')
    await one.read(84, 16)
    const [job] = one.warmer.jobs
    assertEquals([job?.request.source, job?.request.tasks, job?.request.tags], ['rewarm', ['films'], undefined])
    assertEquals([job?.request.fence?.key, one.table.holderOf('rewarm')], ['cache:warmup:fence:rewarm', job?.traceId])
    await one.read(0, 0)
    for (const hits of [10, 84, 89, 90]) await one.read(hits, 100 - hits)
    assertEquals(one.warmer.jobs.length, 1)
    await one.read(91, 9)
    assertEquals(one.table.holderOf('rewarm'), undefined)
    await one.read(84, 16)
    assertEquals(one.warmer.jobs.length, 2)
  })

  it('with the upper bound below the lower one, the lower one counts for both', async () => {
    const odd = watch(new LockTable(), { below: 0.95, above: 0.5 })
    odd.rewarm.start()
    await odd.clock.advance(MINUTE)
    await odd.read(92, 8)
    await odd.read(0, 0)
    for (let look = 0; look < 4; look++) await odd.read(92, 8)
    assertEquals(odd.warmer.jobs.length, 1)
    await odd.rewarm.stop()
  })

  it('needs enough reads, which it gathers over several looks', async () => {
    for (let look = 0; look < 9; look++) await one.read(1, 10)
    assertEquals(one.warmer.jobs.length, 0)
    await one.read(0, 1)
    assertEquals(one.warmer.jobs.length, 1)
  })

  it('reads of a time in which a job ran do not count', async () => {
    one.state.isBusy = true
    await one.read(0, 500)
    one.state.isBusy = false
    await one.read(0, 500)
    assertEquals(one.warmer.jobs.length, 0)
    const others = { job_id: 'x', trace_id: 'y', source: 'http', strategy: 'priority' } as const
    one.events.emit({ type: 'job_started', ...others, tasks: [] })
    await one.read(0, 500)
    assertEquals(one.warmer.jobs.length, 0, 'a job that came and went between two looks')
    await one.read(0, 500)
    assertEquals(one.warmer.jobs.length, 1)
  })

  it('sums that went down are a restart: it starts anew', async () => {
    await one.read(0, 99)
    one.sums.hits = 5
    one.sums.misses = 5
    await one.read(0, 0)
    await one.read(0, 99)
    assertEquals(one.warmer.jobs.length, 0)
    await one.read(0, 1)
    assertEquals(one.warmer.jobs.length, 1)
  })

  it('of several instances one warms, for as long as the rate is low', async () => {
    const other = watch(one.table, {}, one.clock)
    other.rewarm.start()
    await one.clock.advance(MINUTE)
    const both = async (hits: number, misses: number) => {
      other.sums.hits += hits
      other.sums.misses += misses
      await one.read(hits, misses)
    }
    for (let look = 0; look < 4; look++) await both(50, 50)
    assertEquals([one.warmer.jobs.length, other.warmer.jobs.length], [1, 0])
    const [skip] = other.events.since(0).events
    assertEquals(skip?.event, {
      type: 'schedule_skipped',
      schedule: 'rewarm',
      reason: 'locked',
      holder: one.warmer.jobs[0]?.traceId as string,
    })
    await other.rewarm.stop()
  })

  it('a job that failed, or could not begin, may be tried again', async () => {
    one.warmer.status = 'failed'
    await one.read(0, 100)
    assertEquals([one.warmer.jobs.length, one.table.held.size], [1, 0])
    await one.read(0, 0)
    one.warmer.error = new PrewarmError('USAGE', 'No task matches')
    await one.read(0, 100)
    assertEquals([one.warmer.jobs.length, one.table.held.size], [1, 0])
    one.warmer.error = null
    one.warmer.status = 'success'
    await one.read(0, 0)
    await one.read(0, 100)
    assertEquals(one.warmer.jobs.length, 2)
  })

  it('while Redis is away it goes on looking, and never warms without the lock', async () => {
    one.state.isDown = true
    await one.read(0, 500)
    one.state.isDown = false
    await one.read(0, 500)
    one.locks.isDown = true
    await one.read(0, 500)
    assertEquals(one.warmer.jobs.length, 0)
    one.locks.isDown = false
    await one.read(0, 0)
    await one.read(0, 500)
    assertEquals(one.warmer.jobs.length, 1)
  })

  it('a lost lock cancels the job', async () => {
    one.warmer.hold = true
    await one.read(0, 500)
    one.table.take('rewarm')
    await turn()
    assertEquals(one.warmer.jobs[0]?.status, 'cancelled')
  })

  it('stop leaves no timer and no lock, also while it warms', async () => {
    one.warmer.hold = true
    await one.read(0, 500)
    const stopped = Promise.all([one.rewarm.stop(), one.rewarm.stop()])
    assertEquals([one.clock.pending, one.table.held.size], [0, 1])
    one.warmer.jobs[0]?.end()
    await stopped
    assertEquals(one.table.held.size, 0)
    one.rewarm.start()
    assertEquals(one.clock.pending, 0)
  })

  it('between two jobs there was always a rate above the upper bound', async () => {
    await checkAsync(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 40 }), async (rates) => {
        const some = watch()
        some.rewarm.start()
        await some.clock.advance(MINUTE)
        let isArmed = true
        for (const hits of rates) {
          const before = some.warmer.jobs.length
          await some.read(hits, 200 - hits)
          const didWarm = some.warmer.jobs.length > before
          assertEquals(didWarm, isArmed && hits / 200 < 0.85)
          if (didWarm) isArmed = false
          else if (hits / 200 > 0.9) isArmed = true
          // The look after a job does not count.
          if (didWarm) await some.read(0, 0)
        }
        await some.rewarm.stop()
        assertEquals([some.clock.pending, some.table.held.size], [0, 0])
      }),
      60,
    )
  })
})
