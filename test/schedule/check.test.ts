import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import type { ScheduleDefinition } from '../../src/config/control.ts'
import { load } from '../../src/config/define.ts'
import type { ScheduleSpec } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { checkedSpec, checkSchedules } from '../../src/schedule/check.ts'
import { declaredSchedules, predictedLimit, requestOf, toSpec } from '../../src/schedule/spec.ts'
import { configOf } from '../fakes/tasks.ts'
import { configWith, TASKS } from './support.ts'

const NOW = Date.parse('2026-03-01')
const { tasks } = configWith()
const DEFAULTS = { timeZone: 'UTC', predictive: false, jitterMs: 0, catchUp: false }

function refused(work: () => unknown): { code: string; message: string } {
  const { code, message } = assertThrows(work, PrewarmError)
  return { code, message }
}

describe('what a schedule means', () => {
  it('presets', () => {
    assertEquals(toSpec({ preset: 'daily' }, tasks), {
      ...DEFAULTS,
      cron: '0 2 * * *',
      critical: true,
      predictive: true,
    })
    assertEquals(toSpec({ preset: 'hourly' }, tasks), { ...DEFAULTS, cron: '0 * * * *', predictive: true, limit: 50 })
    assertEquals(toSpec({ preset: 'peaks' }, tasks), {
      ...DEFAULTS,
      cron: '0 7,11,17 * * *',
      tasks: ['films', 'users'],
      predictive: true,
      limit: 100,
      priority: 100,
    })
    assertEquals(toSpec({ preset: 'full' }, tasks), { ...DEFAULTS, cron: '*/30 * * * *' })
  })

  it('what it says itself goes before its preset', () => {
    const own = { preset: 'peaks', tags: ['people'], limit: 7, timeZone: 'Europe/Berlin', jitter: '5s' } as const
    assertEquals(toSpec(own, tasks), {
      ...DEFAULTS,
      cron: '0 7,11,17 * * *',
      tags: ['people'],
      predictive: true,
      limit: 7,
      priority: 100,
      timeZone: 'Europe/Berlin',
      jitterMs: 5000,
    })
    assertEquals(toSpec({ interval: '10m', catchUp: true }, tasks), { ...DEFAULTS, intervalMs: 600_000, catchUp: true })
  })

  it('a task’s own schedule is one of the task’s name', () => {
    const films = { ...TASKS.films, schedule: '0 3 * * *' }
    const config = configOf({ ...TASKS, films }, { schedules: { nightly: { preset: 'full' } } })
    assertEquals(
      [...declaredSchedules(config)],
      [
        ['films', { ...DEFAULTS, cron: '0 3 * * *', tasks: ['films'] }],
        ['nightly', { ...DEFAULTS, cron: '*/30 * * * *' }],
      ],
    )
  })

  it('what it asks for: tasks, everything, or predicted keys only', () => {
    const spec = (rest: Partial<ScheduleSpec>): ScheduleSpec => ({ ...DEFAULTS, cron: '* * * * *', ...rest })
    assertEquals(requestOf(spec({})), {})
    assertEquals(requestOf(spec({ predictive: true })), null)
    assertEquals(requestOf(spec({ predictive: true, tasks: [] })), null)
    assertEquals(requestOf(spec({ predictive: true, critical: true, limit: 5, priority: 9, params: { days: 2 } })), {
      critical: true,
      count: 5,
      priority: 9,
      params: { days: 2 },
    })
    assertEquals(
      [spec({}), spec({ predictive: true }), spec({ predictive: true, limit: 5 })].map(predictedLimit),
      [0, 100, 5],
    )
  })
})

describe('a schedule that can’t be met', () => {
  const bad: [Partial<Record<keyof ScheduleSpec, unknown>>, string][] = [
    [{}, 'cron is missing, expected a cron expression of five or six fields'],
    [{ cron: 'soon' }, "cron is 'soon', expected a cron expression of five or six fields"],
    [{ cron: '0 0 30 2 *' }, "cron is '0 0 30 2 *'"],
    [{ cron: '2030-01-01T00:00:00' }, "cron is '2030-01-01T00:00:00'"],
    [{ cron: '* * * * *', intervalMs: 5000 }, 'expected either a cron or an interval'],
    [{ cron: '* * * * *', timeZone: 'Mars/Olympus' }, "timeZone is 'Mars/Olympus', expected the IANA name"],
    [{ cron: '* * * * *', timeZone: '+02:00' }, "timeZone is '+02:00', expected the IANA name"],
    [{ cron: '* * * * *', timeZone: '' }, "timeZone is ''"],
    [{ intervalMs: 999 }, 'intervalMs is 999, expected a number from 1000 to 2147483647 ms'],
    [{ intervalMs: Number.NaN }, 'intervalMs is null, expected a number'],
    [{ intervalMs: '5m' }, "intervalMs is '5m', expected a number"],
    [{ intervalMs: 5000, tasks: ['films', 'cars'] }, "tasks is 'cars', expected tasks among films, users"],
    [{ intervalMs: 5000, tasks: 'films' }, "tasks is 'films', expected a list of tasks"],
    [{ intervalMs: 5000, tags: ['slow'] }, "tags is 'slow', expected tags among catalog, people"],
    [{ intervalMs: 5000, limit: 0 }, 'limit is 0, expected a whole number from 1 to 1000000'],
    [{ intervalMs: 5000, limit: 1.5 }, 'limit is 1.5'],
    [{ intervalMs: 5000, priority: Number.POSITIVE_INFINITY }, 'priority is null'],
    [{ intervalMs: 5000, jitterMs: -1 }, 'jitterMs is -1'],
    [{ intervalMs: 5000, catchUp: 'yes' }, "catchUp is 'yes', expected true or false"],
    [{ intervalMs: 5000, params: ['days'] }, 'params is ["days"], expected an object'],
    [{ intervalMs: 5000, params: { day: 1 } }, "No selected task has a parameter 'day'"],
    [{ intervalMs: 5000, params: { days: 1n } }, 'params is not JSON'],
    [{ intervalMs: 5000, predictive: true, params: { days: 1 } }, 'expected none where only predicted keys are warmed'],
    [{ intervalMs: 5000, tags: ['people'], critical: true }, 'critical is true, expected to leave a task to warm'],
  ]
  for (const [spec, message] of bad) {
    it(`is refused: ${message}`, () => {
      const told = refused(() => checkedSpec('nightly', spec as Partial<ScheduleSpec>, tasks, NOW))
      assertEquals([told.code, told.message.includes(message)], ['REQUEST_INVALID', true], told.message)
    })
  }

  it('is refused by its name', () => {
    for (const name of ['', 'a b', 'a:b', 'ä', 'x'.repeat(65)]) {
      const told = refused(() => checkedSpec(name, { cron: '* * * * *' }, tasks, NOW))
      assertEquals(told.code, 'REQUEST_INVALID')
      assertEquals(told.message, `name is '${name}', expected 1 to 64 letters, digits, '-' and '_'`)
    }
    assertEquals(checkedSpec('x'.repeat(64), { cron: '@hourly' }, tasks, NOW), { ...DEFAULTS, cron: '@hourly' })
  })

  it('a task may be called as an object’s members are', () => {
    for (const name of ['constructor', 'toString', 'valueOf']) {
      const config = configOf({ [name]: { ...TASKS.films, schedule: '0 3 * * *' } }, {})
      checkSchedules(config, NOW)
      assertEquals([...declaredSchedules(config).keys()], [name])
    }
  })

  it('a cron that has run for the last time is refused, too', () => {
    const once = (nowMs: number) => () => checkedSpec('once', { cron: '0 0 29 2 *' }, tasks, nowMs)
    assertEquals(once(NOW)().cron, '0 0 29 2 *')
    assertEquals(refused(once(Date.parse('9999-12-01'))).message.endsWith('this one never runs'), true)
  })

  it('keeps only the fields of a spec', () => {
    const given = { cron: '* * * * *', colour: 'red' } as Partial<ScheduleSpec>
    assertEquals(Object.keys(checkedSpec('one', given, tasks, NOW)).sort(), [
      'catchUp',
      'cron',
      'jitterMs',
      'predictive',
      'timeZone',
    ])
  })

  it('in a configuration is told by its place in the file', () => {
    const place = (schedule: ScheduleDefinition) =>
      refused(() => checkSchedules(configWith({ nightly: schedule }), NOW))
    assertEquals(place({ cron: 'bad' }).code, 'CONFIG_INVALID')
    const starts = (schedule: ScheduleDefinition, text: string) =>
      assertEquals(place(schedule).message.slice(0, text.length), text)
    starts({ cron: 'bad' }, "schedules.nightly.cron is 'bad', expected a cron expression of five or six fields")
    starts({ cron: '@daily', timeZone: 'Nowhere' }, "schedules.nightly.timeZone is 'Nowhere', expected")
    starts({ cron: '@daily', tasks: ['x'] }, "schedules.nightly.tasks is 'x', expected tasks among films, users")
    const films = { ...TASKS.films, schedule: '0 3 31 2 *' }
    assertEquals(
      refused(() => checkSchedules(configOf({ films }), NOW)).message.startsWith(
        "tasks.films.schedule is '0 3 31 2 *'",
      ),
      true,
    )
    const twice = () =>
      configOf({ films: { ...films, schedule: '@daily' } }, { schedules: { films: { preset: 'full' } } })
    assertEquals(
      refused(() => checkSchedules(twice(), NOW)).message.startsWith('schedules.films has the name of a task'),
      true,
    )
    const plain = () => configOf({ users: TASKS.users }, { schedules: { nightly: { preset: 'daily' } } })
    assertEquals(
      refused(() => checkSchedules(plain(), NOW)).message,
      'schedules.nightly.critical is true, expected to leave a task to warm (No task matches critical)',
    )
  })

  it('because a parameter has no value could never run', () => {
    const { z } = { z: { safeParse: () => ({ success: false, error: { issues: [] } }), shape: { days: {} } } }
    const open = () =>
      configOf(
        { films: load({ key: 'film:{id}', params: z, load: () => new Map() }) },
        { schedules: { nightly: { preset: 'full' } } },
      )
    assertEquals(
      refused(() => checkSchedules(open(), NOW)).message.startsWith('schedules.nightly.params is missing'),
      true,
    )
  })

  it('a good one passes, in every preset', () => {
    const all = {
      a: { preset: 'daily' },
      b: { preset: 'hourly' },
      c: { preset: 'peaks' },
      d: { preset: 'full' },
    } as const
    checkSchedules(configWith(all), NOW)
    checkSchedules(configWith({ e: { interval: '1s', tags: ['people'], params: {} } }), 0)
  })
})
