import type { Config } from '../config/load.ts'
import type { Task } from '../config/task.ts'
import type { ScheduleRecord, ScheduleSpec } from '../coordination/types.ts'
import { hash32 } from '../keyspace/ttl.ts'
import { specWithDefaults } from '../schedule/spec.ts'
import { limitParam } from './facts.ts'
import { jitterFor } from './timing.ts'
import type { Change } from './types.ts'
import { tasksOf } from './warmed-by.ts'

type Tasks = Config['tasks']

/** A schedule that was registered by optimizing, and what it runs instead of. */
export function isOptimized({ origin, spec }: Pick<ScheduleRecord, 'origin' | 'spec'>): boolean {
  return origin === 'custom' && spec.replaces !== undefined
}

/** `optimized-films`. A schedule's name has at most 64 characters, a task's may have more. */
export function optimizedName(task: string): string {
  return fitted(`optimized-${task}`)
}

/** For the tasks of a schedule that stay as they were. No task's name begins with a dash. */
export function restName(schedule: string): string {
  return fitted(`optimized--${schedule}`)
}

function fitted(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 55)}-${hash32(name).toString(16)}`
}

/** The schedules to register for `changes`, by name; null: such a one is to be removed. */
export function targetSpecs(
  changes: readonly Change[],
  records: readonly ScheduleRecord[],
  tasks: Tasks,
): Map<string, ScheduleSpec | null> {
  const byName = new Map(records.map((record) => [record.name, record]))
  const targets = new Map<string, ScheduleSpec | null>()
  const bases = new Set<string>()
  for (const task of new Set(changes.map((change) => change.task))) {
    const own = changes.filter((change) => change.task === task)
    const current = byName.get(own[0]?.schedule ?? '')
    const declared = tasks.get(task)
    if (current === undefined || declared === undefined) continue
    const base = isOptimized(current) ? (current.spec.replaces as string) : current.name
    bases.add(base)
    targets.set(optimizedName(task), changedSpec(declared, { ...current.spec, replaces: base }, own))
  }
  for (const { name, origin, spec } of records) {
    if (!isOptimized({ origin, spec }) || name === restName(spec.replaces as string)) continue
    // The task is declared no more.
    if (spec.tasks?.some((task) => tasks.has(task)) === false) targets.set(name, null)
  }
  const running = records.filter((record) => isOptimized(record) && !record.paused)
  for (const base of new Set([...bases, ...running.map(({ spec }) => spec.replaces as string)])) {
    const record = byName.get(base)
    const name = restName(base)
    const rest = record === undefined ? null : restOf(record.spec, base, records, tasks, targets)
    const isThere = byName.has(name)
    // Of what did not change only what was declared since: what is there follows by itself.
    if (bases.has(base) ? rest !== null || isThere : rest !== null && !isThere) targets.set(name, rest)
  }
  return targets
}

/** A schedule for one task: as the one that warms it now, with the changes. */
function changedSpec(task: Task, current: ScheduleSpec, changes: readonly Change[]): ScheduleSpec {
  const { tags: _tags, critical: _critical, ...kept } = current
  const spec: ScheduleSpec = {
    ...kept,
    tasks: [task.name],
    predictive: false,
    params: paramsFor([task], current.params),
  }
  for (const { field, to } of changes) {
    if (field === 'interval')
      Object.assign(spec, { cron: undefined, intervalMs: to, jitterMs: jitterFor(spec.jitterMs, to) })
    if (field === 'ttl') spec.ttlMs = to
    if (field === 'priority') spec.priority = to
    if (field === 'limit') limitTo(task, spec, to)
  }
  return specWithDefaults(spec)
}

/** A parameter that says how many keys the task lists is only ever raised: fewer are cut off by `limit`. */
function limitTo(task: Task, spec: ScheduleSpec, limit: number): void {
  const name = limitParam(task, spec.params)
  const own = name === undefined ? undefined : (task.params.parse(spec.params ?? {})[name] as number)
  if (name !== undefined && own !== undefined && limit > own) spec.params = { ...spec.params, [name]: limit }
  if (spec.limit !== undefined || own === undefined || limit < own) spec.limit = limit
}

/** What of the schedule `base` nothing else runs: its other tasks, and its prediction. Null: nothing. */
function restOf(
  spec: ScheduleSpec,
  base: string,
  records: readonly ScheduleRecord[],
  tasks: Tasks,
  targets: ReadonlyMap<string, ScheduleSpec | null> = new Map(),
): ScheduleSpec | null {
  const isOwn = (task: string) => {
    const name = optimizedName(task)
    const record = records.find((one) => one.name === name)
    return targets.has(name) || (record !== undefined && isOptimized(record) && record.spec.replaces === base)
  }
  const names = tasksOf(spec, tasks).filter((task) => !isOwn(task))
  if (names.length === 0 && !spec.predictive) return null
  const { tags: _tags, critical: _critical, ...kept } = spec
  const left = names.map((name) => tasks.get(name) as Task)
  return specWithDefaults({
    ...kept,
    tasks: names.length === 0 ? undefined : names,
    params: paramsFor(left, spec.params),
    replaces: base,
  })
}

/**
 * `spec` of the schedule `name` as it is under this configuration: what was registered for the tasks that stay as they were
 * follows the schedule that it runs instead of, with tasks that were declared since, and without those that are gone.
 */
export function followingSpec(
  name: string,
  spec: ScheduleSpec,
  records: readonly ScheduleRecord[],
  tasks: Tasks,
): ScheduleSpec {
  const { replaces: base } = spec
  const record = base === undefined || name !== restName(base) ? undefined : records.find((one) => one.name === base)
  return (record && restOf(record.spec, record.name, records, tasks)) ?? spec
}

/** Those that one of the tasks declares. */
function paramsFor(tasks: readonly Task[], params: ScheduleSpec['params']): ScheduleSpec['params'] {
  const known = Object.entries(params ?? {}).filter(([name]) => tasks.some((task) => task.params.names.includes(name)))
  return known.length === 0 ? undefined : Object.fromEntries(known)
}
