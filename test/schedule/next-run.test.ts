import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { Cron } from 'croner'
import fc from 'fast-check'
import { type Timetable, timetable } from '../../src/schedule/next-run.ts'
import { check } from '../support/property.ts'

/** The next `count` due times after `from`. */
function runs(table: Timetable, from: string, count: number): string[] {
  const times: string[] = []
  let atMs = Date.parse(from)
  while (times.length < count) {
    const next = table.next(atMs)
    if (next === null) break
    times.push(new Date(next).toISOString().replace(':00.000Z', 'Z'))
    atMs = next
  }
  return times
}

const of = (cron: string, timeZone: string) => timetable({ cron, timeZone })

describe('the due times of a schedule', () => {
  it('a time of day that summer time leaves out runs when the gap ends, once', () => {
    assertEquals(runs(of('30 2 * * *', 'Europe/Berlin'), '2026-03-28T00:00:00Z', 3), [
      '2026-03-28T01:30Z',
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ])
    assertEquals(runs(of('30 2 * * *', 'America/New_York'), '2026-03-07T00:00:00Z', 3), [
      '2026-03-07T07:30Z',
      '2026-03-08T07:00Z',
      '2026-03-09T06:30Z',
    ])
    // Of a list, too; and those that meet at its end run once.
    assertEquals(runs(of('30 2,14 * * *', 'Europe/Berlin'), '2026-03-28T20:00:00Z', 2), [
      '2026-03-29T01:00Z',
      '2026-03-29T12:30Z',
    ])
    assertEquals(runs(of('0,30 2 * * *', 'Europe/Berlin'), '2026-03-28T20:00:00Z', 3), [
      '2026-03-29T01:00Z',
      '2026-03-30T00:00Z',
      '2026-03-30T00:30Z',
    ])
  })

  it('a time of day that comes twice runs the first time only', () => {
    assertEquals(runs(of('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00:00Z', 2), [
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ])
    assertEquals(runs(of('30 1 * * *', 'America/New_York'), '2026-10-31T12:00:00Z', 2), [
      '2026-11-01T05:30Z',
      '2026-11-02T06:30Z',
    ])
    assertEquals(runs(of('30 2,14 * * *', 'Europe/Berlin'), '2026-10-24T20:00:00Z', 3), [
      '2026-10-25T00:30Z',
      '2026-10-25T13:30Z',
      '2026-10-26T01:30Z',
    ])
  })

  it('every so often goes by the time that really passes', () => {
    const halves = of('*/30 * * * *', 'Europe/Berlin')
    assertEquals(runs(halves, '2026-03-29T00:10:00Z', 4), [
      '2026-03-29T00:30Z',
      '2026-03-29T01:00Z',
      '2026-03-29T01:30Z',
      '2026-03-29T02:00Z',
    ])
    assertEquals(runs(halves, '2026-10-25T00:10:00Z', 4), [
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-25T02:00Z',
    ])
    const inHourTwo = of('*/30 2 * * *', 'Europe/Berlin')
    assertEquals(runs(inHourTwo, '2026-03-28T12:00:00Z', 1), ['2026-03-30T00:00Z'])
    assertEquals(runs(inHourTwo, '2026-10-24T12:00:00Z', 5), [
      '2026-10-25T00:00Z',
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-26T01:00Z',
    ])
  })

  it('intervals count from 1970, whenever one asks', () => {
    const table = timetable({ intervalMs: 900_000, timeZone: 'Europe/Berlin' })
    assertEquals(runs(table, '2026-03-29T00:07:31.123Z', 3), [
      '2026-03-29T00:15Z',
      '2026-03-29T00:30Z',
      '2026-03-29T00:45Z',
    ])
    const onTime = Date.parse('2026-03-29T00:15:00Z')
    assertEquals([table.latest(onTime), table.latest(onTime - 1)], [onTime, onTime - 900_000])
  })

  it('the latest due time counts at its very moment, and not a millisecond before', () => {
    const table = of('0 2 * * *', 'UTC')
    const onTime = Date.parse('2026-03-29T02:00:00Z')
    assertEquals([table.latest(onTime), table.latest(onTime - 1)], [onTime, onTime - 86_400_000])
    assertEquals([table.next(onTime - 1), table.next(onTime)], [onTime, onTime + 86_400_000])
  })

  it('is null where it never runs, and throws where it is no expression', () => {
    assertEquals(of('0 0 30 2 *', 'UTC').next(0), null)
    assertEquals(of('0 0 30 2 *', 'UTC').latest(1.7e12), null)
    for (const cron of ['', 'soon', '* * * *', '61 * * * *', '0 0 0 1 1 * 2030', '2030-01-01T00:00:00', '@reboot']) {
      assertThrows(() => of(cron, 'UTC'))
    }
    assertThrows(() => timetable({ intervalMs: 0, timeZone: 'UTC' }), RangeError)
    assertEquals(of('@daily', 'UTC').next(0), 86_400_000)
  })

  const field = (min: number, max: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min, max }).map(String),
      fc.integer({ min: 2, max: Math.max(2, Math.floor(max / 2)) }).map((step) => `*/${step}`),
      fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 3 }).map((list) => list.join()),
    )
  const cron = fc
    .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
    .map((fields) => fields.join(' '))
  const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata')
  const from = fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2027-01-01') })

  it('are strictly increasing, and croner’s own, for any expression, zone and moment', () => {
    check(
      fc.property(cron, zone, from, (pattern, timeZone, fromMs) => {
        const table = of(pattern, timeZone)
        const options = { timezone: timeZone, paused: true, fixedTimeRule: 'no-wildcard' } as const
        const expected = new Cron(pattern, options).nextRuns(8, new Date(fromMs)).map((run) => run.getTime())
        const seen: number[] = []
        for (let at: number | null = table.next(fromMs); at !== null && seen.length < 8; at = table.next(at)) {
          assert(at > (seen.at(-1) ?? fromMs), `${pattern} ${timeZone}: ${at} does not come after ${seen.at(-1)}`)
          assertEquals(table.latest(at), at)
          if (seen.length > 0) assertEquals(table.latest(at - 1), seen.at(-1))
          seen.push(at)
        }
        assertEquals(seen, expected)
      }),
    )
  })
})
