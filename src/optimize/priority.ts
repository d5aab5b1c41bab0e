import { shown } from './numbers.ts'
import type { Change, TaskFacts } from './types.ts'

/** A task's priority moves by at most this from the declared one. */
const MAX_SHIFT = 20
/** For a task that is read ten times as often as the mean. */
const SHIFT_PER_DECADE = 10
/** Priorities that differ by less stay. */
const MIN_STEP = 5
/** From here on a task is critical. */
const CRITICAL = 100

/**
 * Moves tasks that are read more often than the others up, and the others down: by 10 for each factor of ten above the
 * geometric mean of all tasks' reads an hour, at most 20 from what is declared, and across 100, where critical tasks begin,
 * only up and only if the task is declared critical. What is declared is where it comes back to.
 */
export function priorityChanges(tasks: readonly TaskFacts[]): Change[] {
  const rates = tasks.map(({ readsPerHour }) => readsPerHour.reduce((sum, reads) => sum + reads, 0))
  const known = rates.filter((rate) => rate > 0)
  if (known.length < 2) return []
  const mean = Math.exp(known.reduce((sum, rate) => sum + Math.log(rate), 0) / known.length)
  return tasks.flatMap((facts, at) => {
    const rate = rates[at] as number
    if (!(rate > 0)) return []
    const { task, schedule, priority: from } = facts
    const to = bounded(facts, Math.round(SHIFT_PER_DECADE * Math.log10(rate / mean)))
    if (Math.abs(to - from) < MIN_STEP) return []
    const times = rate / mean
    const compared =
      times >= 1 ? `${times.toFixed(1)} times as often as` : `${(1 / times).toFixed(1)} times less often than`
    const reason = `read ${shown(rate)} times an hour, ${compared} the mean of ${known.length} tasks (${shown(mean)}); declared is ${facts.declaredPriority}`
    return [{ task, schedule, field: 'priority', from, to, reason }]
  })
}

function bounded({ declaredPriority: declared, critical }: TaskFacts, shift: number): number {
  const to = declared + Math.max(-MAX_SHIFT, Math.min(MAX_SHIFT, shift))
  if (declared >= CRITICAL) return Math.max(CRITICAL, to)
  return critical ? to : Math.min(Math.max(declared, CRITICAL - 1), to)
}
