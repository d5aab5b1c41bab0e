import type { Config } from '../config/load.ts'
import type { ScheduleSpec } from '../coordination/types.ts'
import { isPrewarmError } from '../errors.ts'
import type { ScheduleView } from '../facade.ts'
import { selectTasks } from '../job/select.ts'
import { timetable } from '../schedule/next-run.ts'
import { requestOf } from '../schedule/spec.ts'

/** Runs, and time, that are looked ahead for the pauses between them. */
const MAX_RUNS = 200
const AHEAD_MS = 8 * 24 * 3_600_000

/** The tasks that a run of a schedule warms, besides what is predicted. */
export function tasksOf(spec: ScheduleSpec, tasks: Config['tasks']): string[] {
  const request = requestOf(spec)
  if (request === null) return []
  try {
    return selectTasks(tasks, request).map(({ name }) => name)
  } catch (error) {
    // Its tasks are declared no more.
    if (isPrewarmError(error)) return []
    throw error
  }
}

/**
 * The schedules that warm each task by themselves now: neither those that are paused, nor those that another was registered
 * for instead.
 */
export function schedulesByTask(views: readonly ScheduleView[], tasks: Config['tasks']): Map<string, ScheduleView[]> {
  const active = views.filter(({ paused }) => !paused)
  const replaced = new Set(active.flatMap(({ spec }) => spec.replaces ?? []))
  const byTask = new Map<string, ScheduleView[]>()
  for (const view of active.filter(({ name }) => !replaced.has(name))) {
    for (const task of tasksOf(view.spec, tasks)) byTask.set(task, [...(byTask.get(task) ?? []), view])
  }
  return byTask
}

/** The pauses between a schedule's next runs, ms; none if it does not run twice. */
export function gapsOf(spec: ScheduleSpec, nowMs: number): number[] {
  if (spec.intervalMs !== undefined) return [spec.intervalMs]
  const gaps: number[] = []
  try {
    const table = timetable(spec)
    let at = table.next(nowMs)
    while (at !== null && gaps.length < MAX_RUNS && (gaps.length === 0 || at <= nowMs + AHEAD_MS)) {
      const next = table.next(at)
      if (next !== null) gaps.push(next - at)
      at = next
    }
  } catch {
    // What the store holds makes no sense here; the scheduler says so.
  }
  return gaps
}
