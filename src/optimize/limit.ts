import { showMs } from '../config/duration.ts'
import { meanOf, shown } from './numbers.ts'
import type { Step, StepContext } from './step.ts'
import type { TaskFacts } from './types.ts'

const HOUR_MS = 3_600_000
/** A key is worth a place if it is read so often in its life, or is among those that bear this share of all reads. */
const MIN_READS = 1
const BORNE = 0.95
/** Limits that differ by less are the same: reads that vary by a fifth either way do not move it to and fro. */
const LESS = 0.8
const MORE = 1.5
/** Keys of a run, at most. */
const MAX_LIMIT = 1_000_000

/** A lower limit where a run warms clearly more than is worth it, a higher one where more is; none where all is well. */
export function limitStep(facts: TaskFacts, context: StepContext): Step {
  const { task, schedule, limit, warmed, ttlMs, gapsMs } = facts
  const change = (to: number, reason: string): Step => ({
    changes: [{ task, schedule, field: 'limit', from: limit, to, reason }],
    notes: [],
  })
  const lower = lowerLimit(facts, context)
  if (lower !== null) {
    const { seen } = facts
    const waste =
      seen === null || seen.warmed === 0
        ? ''
        : `; ${Math.round(100 * (1 - seen.read / seen.warmed))} % of what was warmed was never read`
    return change(
      lower,
      `of ${shown(warmed)} keys that a run warms, ${shown(lower)} are read at least once in ${showMs(ttlMs)} or bear ${BORNE * 100} % of the reads${waste}`,
    )
  }
  const worth = Math.min(MAX_LIMIT, readOften(facts))
  const isFull = limit !== null && !facts.isAssumed && warmed >= limit
  if (isFull && context.isOrdered && worth > MORE * limit) {
    const runsPerHour = HOUR_MS / meanOf(gapsMs)
    const room = Math.floor(context.roomPerHour / (facts.requestsPerKey * runsPerHour))
    const higher = Math.min(worth, room)
    if (higher > MORE * limit) {
      if (!facts.takesLimit(higher))
        return { changes: [], notes: [`${shown(worth)} keys are worth warming, and its parameters refuse that limit`] }
      return change(
        higher,
        `${shown(worth)} keys are read at least once in ${showMs(ttlMs)}, and a run warms ${limit} of them`,
      )
    }
  }
  const wastes = !facts.isAssumed && worthOf(facts) < LESS * warmed
  if (wastes && !context.isOrdered)
    return {
      changes: [],
      notes: ['it warms more than is read, but not the most read keys first: let `select` list the hottest first'],
    }
  if (wastes && context.observedMs < ttlMs)
    return {
      changes: [],
      notes: [
        `reads are known for ${showMs(context.observedMs)}, which is too short to judge a life of ${showMs(ttlMs)}`,
      ],
    }
  return { changes: [], notes: [] }
}

/** A lower limit, if the task warms clearly more than is worth it; null: none. */
export function lowerLimit(facts: TaskFacts, { observedMs, isOrdered }: StepContext): number | null {
  if (facts.isAssumed || facts.isPartial || !isOrdered || observedMs < facts.ttlMs) return null
  const worth = worthOf(facts)
  return worth >= 1 && worth < LESS * facts.warmed ? worth : null
}

function worthOf(facts: TaskFacts): number {
  return Math.max(readOften(facts), bearing(facts))
}

/** Keys that are read at least once in the life of what is warmed. */
function readOften({ readsPerHour, ttlMs }: TaskFacts): number {
  const first = readsPerHour.findIndex((reads) => (reads * ttlMs) / HOUR_MS < MIN_READS)
  return first === -1 ? readsPerHour.length : first
}

/** The least number of keys that bear nearly all of the reads. */
function bearing({ readsPerHour }: TaskFacts): number {
  const all = readsPerHour.reduce((sum, reads) => sum + reads, 0)
  let borne = 0
  for (const [rank, reads] of readsPerHour.entries()) {
    borne += reads
    if (borne >= BORNE * all) return rank + 1
  }
  return readsPerHour.length
}
