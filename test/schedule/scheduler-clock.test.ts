import { afterEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { ScheduleDefinition } from '../../src/config/control.ts'
import { compareWithLast } from '../../src/schedule/due.ts'
import { timetable } from '../../src/schedule/next-run.ts'
import { turn } from '../fakes/clock.ts'
import { checkAsync } from '../support/property.ts'
import { configWith, instanceOn, type Shared, sharedAt } from './support.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('schedules and clocks', () => {
  const instances: ReturnType<typeof instanceOn>[] = []
  async function startOn(shared: Shared, nightly: ScheduleDefinition) {
    const instance = instanceOn(shared, configWith({ nightly }))
    instances.push(instance)
    await instance.scheduler.start()
    return instance
  }
  afterEach(async () => {
    for (const { scheduler } of instances.splice(0)) await scheduler.stop()
  })

  it('a clock that is set forward, or a machine that slept, is noticed within half a minute', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:10Z'), { cron: '0 * * * *' })
    await one.clock.advance(MINUTE)
    one.clock.offsetMs += HOUR
    await one.clock.advance(30_000)
    assertEquals(
      one.store.runs.map(({ at }) => at),
      ['2026-03-01T01:00:00.000Z'],
    )
  })

  it('a run that is more than five minutes late was missed; of several only the last counts', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:10Z'), { cron: '0 * * * *' })
    one.clock.offsetMs += 3.5 * HOUR
    await one.clock.advance(MINUTE)
    assertEquals([one.warmer.jobs.length, one.skips], [0, ['missed']])
    one.clock.offsetMs += HOUR + 28 * MINUTE
    await one.clock.advance(MINUTE)
    assertEquals([one.store.runs.map(({ at }) => at), one.skips], [['2026-03-01T05:00:00.000Z'], ['missed', 'missed']])
  })

  it('with catchUp it runs once instead, for the last of them', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:10Z'), { cron: '0 * * * *', catchUp: true })
    one.clock.offsetMs += 3.5 * HOUR
    await one.clock.advance(MINUTE)
    assertEquals(
      one.store.runs.map(({ at }) => at),
      ['2026-03-01T03:00:00.000Z'],
    )
  })

  it('a clock that is set back does not run a due time again, and leaves none out', async () => {
    const one = await startOn(sharedAt('2026-03-01T00:00:10Z'), { cron: '*/10 * * * *' })
    await one.clock.advance(31 * MINUTE)
    one.clock.offsetMs -= 25 * MINUTE
    await one.clock.advance(40 * MINUTE)
    assertEquals(
      one.store.runs.map(({ at }) => at.slice(14, 16)),
      ['10', '20', '30', '40'],
    )
    assertEquals(one.skips, ['locked', 'locked', 'locked'])
  })

  it('a run noted with a clock days ahead does not keep the schedule from running', async () => {
    const shared = sharedAt('2026-03-01T00:00:10Z')
    const nightly = configWith({ nightly: { cron: '0 * * * *' } })
    shared.clock.offsetMs = 72 * HOUR
    const wrong = instanceOn(shared, nightly)
    await wrong.scheduler.runNow('nightly')
    await wrong.scheduler.settled()
    shared.clock.offsetMs = 0
    const one = await startOn(shared, { cron: '0 * * * *' })
    await shared.clock.advance(2 * HOUR)
    assertEquals(
      (await shared.store.load()).map(({ lastRunAt }) => lastRunAt),
      ['2026-03-01T02:00:00.000Z'],
    )
    assertEquals(one.warmer.jobs.length, 2)
  })

  it('the last noted run: before, at, after a due time, and far ahead', () => {
    const table = timetable({ cron: '0 * * * *', timeZone: 'UTC' })
    const dueMs = Date.parse('2026-03-01T02:00:00Z')
    const compare = (lastRunAt: string | null) => compareWithLast(lastRunAt, { dueMs, nowMs: dueMs + 5, table })
    assertEquals(
      [null, '2026-03-01T01:59:59.999Z', '2026-03-01T02:00:00.000Z', '2026-03-01T03:00:00.000Z', 'soon'].map(compare),
      ['open', 'open', 'done', 'done', 'open'],
    )
    assertEquals(compare('2026-03-01T03:00:01.000Z'), 'implausible')
  })

  it('catchUp: once after a start, if a due time lies between the last run and the start', async () => {
    const cases: [string | null, boolean, string[]][] = [
      ['2026-03-01T02:00:00.000Z', true, ['2026-03-03T02:00:00.000Z']],
      ['2026-03-03T02:00:00.000Z', true, []],
      ['2026-03-01T02:00:00.000Z', false, []],
      [null, true, []],
    ]
    for (const [lastRunAt, catchUp, expected] of cases) {
      const shared = sharedAt('2026-03-03T09:00:00Z')
      const state = { paused: false, lastRunAt, lastStatus: null, lastJobId: null }
      await shared.store.save({ name: 'nightly', spec: {} as never, origin: 'config', ...state })
      const definition = { cron: '0 2 * * *', catchUp }
      const both = [await startOn(shared, definition), await startOn(shared, definition)]
      await turn()
      await shared.clock.advance(2 * MINUTE)
      assertEquals(
        shared.store.runs.map(({ at }) => at),
        expected,
        `last run ${lastRunAt}`,
      )
      assertEquals(both.flatMap(({ warmer }) => warmer.jobs).length, expected.length)
    }
  })

  it('catchUp waits for a store that is away', async () => {
    const shared = sharedAt('2026-03-03T09:00:00Z')
    const state = { paused: false, lastRunAt: '2026-03-01T02:00:00.000Z', lastStatus: null, lastJobId: null }
    await shared.store.save({ name: 'nightly', spec: {} as never, origin: 'config', ...state })
    shared.store.isDown = true
    await startOn(shared, { cron: '0 2 * * *', catchUp: true })
    await shared.clock.advance(5 * MINUTE)
    shared.store.isDown = false
    await shared.clock.advance(MINUTE)
    assertEquals(
      shared.store.runs.map(({ at }) => at),
      ['2026-03-03T02:00:00.000Z'],
    )
  })

  it('whatever is done to the clock, no due time is run twice and no lock or second timer is left', async () => {
    const step = fc.oneof(
      fc.record({ advance: fc.integer({ min: 1, max: 2 * HOUR }) }),
      fc.record({ jump: fc.integer({ min: -3 * HOUR, max: 3 * HOUR }) }),
      fc.record({ down: fc.boolean() }),
    )
    await checkAsync(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, catchUp) => {
        const shared = sharedAt('2026-03-01T00:00:10Z')
        const definition = { cron: '*/15 * * * *', jitter: '2m', catchUp }
        const both = [await startOn(shared, definition), await startOn(shared, definition)]
        for (const one of steps) {
          if ('advance' in one) await shared.clock.advance(one.advance)
          if ('jump' in one) shared.clock.offsetMs += one.jump
          if ('down' in one) shared.store.isDown = one.down
        }
        shared.store.isDown = false
        await shared.clock.advance(MINUTE)
        const noted = shared.store.runs.map(({ at }) => at)
        const jumpedFar = steps.reduce((sum, one) => sum + ('jump' in one ? Math.min(0, one.jump) : 0), 0) < -HOUR
        // A clock that went far back makes the last run implausible; then it is run again on purpose.
        if (!jumpedFar) assertEquals(noted, [...new Set(noted)].sort())
        assertEquals([shared.table.held.size, shared.clock.pending], [0, both.length])
        for (const { scheduler } of both) await scheduler.stop()
        assertEquals(shared.clock.pending, 0)
        assert(both.every(({ warmer }) => warmer.jobs.every(({ request }) => request.fence !== undefined)))
      }),
      60,
    )
  })
})
