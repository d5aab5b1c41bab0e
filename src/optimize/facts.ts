import type { Config } from '../config/load.ts'
import type { Task } from '../config/task.ts'
import type { JobRecord } from '../coordination/types.ts'
import type { ScheduleView } from '../facade.ts'
import type { GainFigures } from '../gain/figures.ts'
import type { TaskCosts } from '../job/strategy/types.ts'
import type { Params } from '../types.ts'
import type { KnownReads } from './reads.ts'
import type { Facts, TaskFacts, Unchanged } from './types.ts'
import { gapsOf, schedulesByTask } from './warmed-by.ts'

/** What facts are made of. */
export interface Evidence {
  config: Pick<Config, 'tasks' | 'settings'>
  views: readonly ScheduleView[]
  reads: KnownReads
  costs: TaskCosts
  gain: GainFigures
  /** Newest first. */
  jobs: readonly JobRecord[]
  nowMs: number
}

/** The parameter that says how many keys a task lists, where it has one. */
const LIMITS = ['limit', 'count'] as const

/** What is known of each task, and of which nothing can be said, because no schedule or several of them warm it. */
export function factsOf(evidence: Evidence): { facts: Facts; unchanged: Unchanged[] } {
  const { config, views, reads, nowMs } = evidence
  const byTask = schedulesByTask(views, config.tasks)
  const tasks: TaskFacts[] = []
  const unchanged: Unchanged[] = []
  for (const task of config.tasks.values()) {
    const [view, ...more] = byTask.get(task.name) ?? []
    const gapsMs = view === undefined ? [] : gapsOf(view.spec, nowMs)
    const params = view === undefined ? null : paramsOf(task, view.spec.params)
    const say = (reason: string) => unchanged.push({ task: task.name, reason })
    if (view === undefined) say(noSchedule(task, views))
    else if (more.length > 0)
      say(`several schedules warm it: ${[view, ...more].map(({ name }) => name).join(', ')}; leave it to one of them`)
    else if (gapsMs.length === 0) say(`its schedule ${view.name} does not run twice`)
    else if (params === null) say(`its schedule ${view.name} does not give every parameter that it needs`)
    else tasks.push(taskFacts(task, view, params, gapsMs, evidence))
  }
  return { facts: { tasks, observedMs: reads.observedMs, maxOriginRps: config.settings.maxOriginRps }, unchanged }
}

function noSchedule({ name }: Task, views: readonly ScheduleView[]): string {
  const paused = views.filter(({ paused, spec }) => paused && spec.tasks?.includes(name)).map((view) => view.name)
  return paused.length > 0 ? `its schedule is paused: ${paused.join(', ')}` : 'no schedule warms it'
}

function taskFacts(
  task: Task,
  view: ScheduleView,
  params: Params,
  gapsMs: number[],
  { views, reads, costs, gain, jobs }: Evidence,
): TaskFacts {
  const { spec, name: schedule } = view
  const declared = views.find(({ name }) => name === spec.replaces)?.spec ?? (spec.replaces === undefined ? spec : null)
  const limit = limitOf(task, spec.limit, params)
  const of = reads.byTask.get(task.name) ?? { reads: 0, readsPerHour: [] }
  const run = lastRunOf(task.name, [schedule, spec.replaces], jobs)
  const counted = gain.ended.byTask.get(task.name)
  const warmed = run === null ? of.readsPerHour.length : run.keys
  return {
    task: task.name,
    schedule,
    gapsMs,
    jitterMs: spec.jitterMs,
    ttlMs: spec.ttlMs ?? task.ttlMs,
    ttlJitter: task.ttlJitter,
    fillTtlMs: task.ttlMs,
    renews: task.mode !== 'add',
    limit,
    takesLimit: (wanted) => takesLimit(task, spec.params, wanted),
    warmed: Math.min(warmed, limit ?? warmed),
    isAssumed: run === null,
    requestsPerKey: run?.requestsPerKey ?? (task.kind === 'http' ? 1 : 1 / task.batchSize),
    loadMsPerKey: costs.get(task.name)?.loadMs ?? null,
    priority: spec.priority ?? task.priority,
    declaredPriority: declared?.priority ?? task.priority,
    critical: task.critical,
    reads: of.reads,
    readsPerHour: of.readsPerHour,
    isPartial: reads.isPartial,
    seen: gain.isObserved && counted !== undefined ? counted : null,
  }
}

/** Null: one that it needs is not given. */
function paramsOf(task: Task, given: Params | undefined): Params | null {
  try {
    return task.params.parse(given ?? {})
  } catch {
    return null
  }
}

/** The name of the parameter that says how many keys the task lists. */
export function limitParam(task: Task, given: Params | undefined): string | undefined {
  const params = paramsOf(task, given) ?? {}
  return LIMITS.find((name) => typeof params[name] === 'number')
}

function limitOf(task: Task, limit: number | undefined, params: Params): number | null {
  const name = limitParam(task, params)
  const own = name === undefined ? undefined : (params[name] as number)
  const least = Math.min(limit ?? Number.POSITIVE_INFINITY, own ?? Number.POSITIVE_INFINITY)
  return Number.isFinite(least) && least >= 1 ? least : null
}

function takesLimit(task: Task, given: Params | undefined, limit: number): boolean {
  const name = limitParam(task, given)
  return name === undefined || paramsOf(task, { ...given, [name]: limit }) !== null
}

/** What the task's last whole run warmed: of these schedules, else of any job. */
function lastRunOf(
  task: string,
  schedules: readonly (string | undefined)[],
  jobs: readonly JobRecord[],
): { keys: number; requestsPerKey: number } | null {
  const runs = jobs.flatMap(({ request, result, schedule }) => {
    if (request.keys !== undefined || result === null || !['success', 'partial'].includes(result.status)) return []
    const of = result.tasks.find((one) => one.task === task)
    const isOurs = schedule !== null && schedules.includes(schedule)
    const isWhole = isOurs || request.count === undefined
    return of === undefined || of.keys.planned === 0 || !isWhole ? [] : [{ of, isOurs }]
  })
  const { of } = runs.find(({ isOurs }) => isOurs) ?? runs[0] ?? {}
  if (of === undefined) return null
  return { keys: of.keys.planned, requestsPerKey: of.originRequests / of.keys.planned }
}
