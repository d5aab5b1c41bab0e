import { showMs } from '../config/duration.ts'
import { forecast, usedShare } from './model.ts'
import { shown } from './numbers.ts'
import { priorityChanges } from './priority.ts'
import { step, withChange } from './step.ts'
import type { Change, Expected, Facts, Proposal, TaskFacts, Unchanged } from './types.ts'

/** With fewer reads of its keys, or known for a shorter time, nothing is said of a task. */
const MIN_READS = 100
const MIN_OBSERVED_MS = 3_600_000
/** Share of the requests that the origin may get which warming by schedules may have. */
const WARMING_SHARE = 0.5
/** Changes of one task leave room for others; more rounds than this are never needed. */
const MAX_ROUNDS = 20
/** Entries that must have expired before it is said which keys a task warms. */
const MIN_SEEN = 100
/** Of the share that should have been read, if the most read keys were warmed. */
const ORDERED = 0.5

/**
 * Proposes how schedules should be: that they renew what they warm before it expires, warm what is read, and warm first what is
 * read most. Where that is so already, nothing is proposed: what is proposed is in force, and the reads are the same, then
 * proposing again changes nothing.
 */
export function propose({ tasks, observedMs, maxOriginRps }: Facts): Proposal {
  const unchanged: Unchanged[] = []
  const judged: TaskFacts[] = []
  for (const facts of tasks) {
    const tooLittle = tooLittleOf(facts, observedMs)
    if (tooLittle === null) judged.push(facts)
    else unchanged.push({ task: facts.task, reason: tooLittle })
  }
  const before = new Map(judged.map((facts) => [facts.task, facts]))
  const after = new Map(tasks.map((facts) => [facts.task, facts]))
  const changes = new Map<string, Change>()
  const take = (change: Change) => {
    const id = `${change.task} ${change.field}`
    // In several rounds a field may be changed twice.
    changes.set(id, { ...change, from: changes.has(id) ? (changes.get(id) as Change).from : change.from })
    after.set(change.task, withChange(after.get(change.task) as TaskFacts, change))
  }
  const notes = new Map<string, string[]>()
  const ordered = new Set(judged.filter(isOrdered).map(({ task }) => task))
  const budget = WARMING_SHARE * maxOriginRps * 3600
  const hottestFirst = [...judged].sort((a, b) => b.reads - a.reads || (a.task < b.task ? -1 : 1))
  for (let round = 0, goesOn = true; goesOn && round < MAX_ROUNDS; round++) {
    goesOn = false
    for (const { task } of hottestFirst) {
      const facts = after.get(task) as TaskFacts
      const roomPerHour = budget - warmingOf([...after.values()].filter((one) => one.task !== task))
      const found = step(facts, { roomPerHour, observedMs, isOrdered: ordered.has(task) })
      notes.set(task, found.notes)
      for (const change of found.changes) {
        take(change)
        goesOn = true
      }
    }
  }
  for (const change of priorityChanges(judged)) take(change)
  const expected: Expected[] = []
  const kept = [...changes.values()].filter(({ from, to }) => from !== to)
  for (const [task, facts] of before) {
    if (kept.some((change) => change.task === task)) expected.push(expectedOf(facts, after.get(task) as TaskFacts))
    else unchanged.push({ task, reason: notes.get(task)?.join('; ') || fitsText(facts) })
  }
  return { tasksOptimized: expected.length, changes: sorted(kept), expected, unchanged }
}

function tooLittleOf({ reads }: TaskFacts, observedMs: number): string | null {
  if (observedMs < MIN_OBSERVED_MS && reads > 0)
    return `reads are known for ${showMs(observedMs)} only: it takes ${showMs(MIN_OBSERVED_MS)} to judge`
  if (reads >= MIN_READS) return null
  const known = reads === 0 ? 'no read of its keys is known' : `${reads} reads of its keys are known`
  return `${known}: it takes ${MIN_READS} to judge`
}

/** False: so few of the warmed entries were read that others than the most read keys must have been warmed. */
function isOrdered(facts: TaskFacts): boolean {
  const { seen } = facts
  if (seen === null || seen.warmed < MIN_SEEN) return true
  return seen.read / seen.warmed >= ORDERED * usedShare(facts, facts)
}

function warmingOf(tasks: readonly TaskFacts[]): number {
  return tasks.reduce((sum, { gapsMs, warmed, requestsPerKey }) => {
    const cycleMs = gapsMs.reduce((all, gap) => all + gap, 0)
    return sum + (warmed * requestsPerKey * gapsMs.length * 3_600_000) / cycleMs
  }, 0)
}

function expectedOf(before: TaskFacts, after: TaskFacts): Expected {
  const from = forecast(before, before)
  const to = forecast(after, after)
  const rounded = (value: number) => Math.round(value * 10) / 10
  const share = (value: number) => Math.round(value * 10_000) / 10_000
  return {
    task: before.task,
    hitRate: { from: share(from.hitRate), to: share(to.hitRate) },
    originRequestsPerHour: { from: rounded(from.originRequestsPerHour), to: rounded(to.originRequestsPerHour) },
    originMsPerHour:
      from.originMsPerHour === null || to.originMsPerHour === null
        ? null
        : { from: rounded(from.originMsPerHour), to: rounded(to.originMsPerHour) },
  }
}

function fitsText({ reads, warmed, isAssumed }: TaskFacts): string {
  const run = isAssumed ? '' : `, a run warms ${shown(warmed)} keys`
  return `it is renewed before it expires, and nothing else speaks for a change (${shown(reads)} reads known${run})`
}

const FIELDS: readonly Change['field'][] = ['interval', 'ttl', 'limit', 'priority']

function sorted(changes: Change[]): Change[] {
  const rank = ({ field }: Change) => FIELDS.indexOf(field)
  return changes.sort((a, b) => (a.task === b.task ? rank(a) - rank(b) : a.task < b.task ? -1 : 1))
}
