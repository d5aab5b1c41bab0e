import { Cron } from 'croner'

/** When something runs: what of a {@linkcode ScheduleSpec} says so. */
export interface Timing {
  cron?: string | undefined
  intervalMs?: number | undefined
  timeZone: string
}

/** The due times of one schedule, ms since 1970. Pure: the same question always has the same answer, on every instance. */
export interface Timetable {
  /** The first due time after `afterMs`; null: it never runs again. */
  next(afterMs: number): number | null
  /** The last due time at or before `atMs`; null: there was none. */
  latest(atMs: number): number | null
}

/**
 * Works out due times. An interval counts from 1970, so that all instances agree (every 15 min: at :00, :15, :30, :45 UTC).
 *
 * Where the clocks of a time zone change, by croner's rule `no-wildcard`:
 * - A cron expression whose seconds, minutes and hours are plain numbers, lists or ranges (`30 2 * * *`, `0 7,11,17 * * *`)
 *   runs once for each of its times of day. A time that the change to summer leaves out (02:30 in Berlin on 2026-03-29)
 *   runs when the gap ends (03:00 summer time); several such times run once, together. A time that comes twice (02:30 on
 *   2026-10-25) runs the first time only.
 * - One with a `*`, `?` or a step there (`0 * * * *`, or every 30 min) goes by the time that really passes: it is not run in
 *   an hour that does not exist, and goes through an hour that comes twice both times. If it names an hour (every 30 min
 *   within hour 2), it is left out on the one day and runs twice as often on the other: write `0,30 2 * * *` instead.
 *
 * @throws {TypeError | RangeError} croner's, for an expression that is none, or a time zone that is unknown
 */
export function timetable({ cron, intervalMs, timeZone }: Timing): Timetable {
  if (intervalMs !== undefined) {
    if (!(intervalMs >= 1)) throw new RangeError(`intervalMs is ${intervalMs}, expected at least 1`)
    return {
      next: (afterMs) => (Math.floor(afterMs / intervalMs) + 1) * intervalMs,
      latest: (atMs) => Math.floor(atMs / intervalMs) * intervalMs,
    }
  }
  const calculator = cronOf(cron ?? '', timeZone)
  return {
    next: (afterMs) => calculator.nextRun(new Date(afterMs))?.getTime() ?? null,
    // croner looks strictly before.
    latest: (atMs) => calculator.previousRuns(1, new Date(atMs + 1))[0]?.getTime() ?? null,
  }
}

/** croner as a calculator: it is given no function and sets no timer. */
function cronOf(pattern: string, timezone: string): Cron {
  // Text with a colon is a date to croner.
  if (pattern.includes(':')) throw new TypeError('a date is no cron expression')
  return new Cron(pattern, { timezone, paused: true, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
}
