import type { Timetable } from './next-run.ts'

/** A run that is to come. */
export interface Due {
  dueMs: number
  /** When it begins: the due time and the jitter. */
  fireMs: number
}

/** What is to be done about a run that is to come, at some moment. */
export type Verdict =
  | { is: 'early' }
  /** `missed`: there were other due times before it that nothing was done about. */
  | { is: 'due'; dueMs: number; missed: boolean }
  /** Too late, and it is not to be caught up. */
  | { is: 'missed'; dueMs: number }

/** A run that begins later than this has been missed: the machine slept, or the wall clock was set forward. */
export const LATE_MS = 300_000
/** How far ahead another instance's clock may be, ms. */
const AHEAD_MS = 3_600_000

/** The first run after `afterMs`, with its share of the jitter; never past the run after it. Null: none. */
export function dueAfter(table: Timetable, afterMs: number, jitterMs: number, random: () => number): Due | null {
  const dueMs = table.next(afterMs)
  if (dueMs === null) return null
  const pauseMs = jitterMs === 0 ? 0 : (table.next(dueMs) ?? Number.POSITIVE_INFINITY) - dueMs
  return { dueMs, fireMs: dueMs + Math.floor(random() * Math.min(jitterMs, pauseMs)) }
}

/** Of several due times that have passed only the last one counts. */
export function judge(due: Due, table: Timetable, nowMs: number, catchUp: boolean): Verdict {
  if (nowMs < due.fireMs) return { is: 'early' }
  const dueMs = Math.max(due.dueMs, table.latest(nowMs) ?? due.dueMs)
  const missed = dueMs > due.dueMs
  if (catchUp || nowMs - (missed ? dueMs : due.fireMs) <= LATE_MS) return { is: 'due', dueMs, missed }
  return { is: 'missed', dueMs }
}

/**
 * What the last noted run says about a due time. Instances' clocks differ, so that one may come to a due time that another
 * has done already. `implausible`: the noted run lies further ahead than the next run and an hour, so the clock of whoever
 * noted it was wrong, and it must not keep the schedule from running until then.
 */
export function compareWithLast(
  lastRunAt: string | null,
  { dueMs, nowMs, table }: { dueMs: number; nowMs: number; table: Timetable },
): 'open' | 'done' | 'implausible' {
  const lastMs = lastRunAt === null ? Number.NaN : Date.parse(lastRunAt)
  if (!(lastMs >= dueMs)) return 'open'
  const plausibleMs = Math.max(nowMs + AHEAD_MS, table.next(nowMs) ?? nowMs)
  return lastMs > plausibleMs ? 'implausible' : 'done'
}

/** The due time that passed since the last noted run and before `startMs`, if any: what `catchUp` runs. */
export function missedBefore(startMs: number, lastRunAt: string | null, table: Timetable): number | null {
  const latestMs = table.latest(startMs)
  if (lastRunAt === null || latestMs === null) return null
  return latestMs > Date.parse(lastRunAt) ? latestMs : null
}
