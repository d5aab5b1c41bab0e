import type { ScheduleDefinition } from '../config/control.ts'
import { parseDuration } from '../config/duration.ts'
import type { Config } from '../config/load.ts'
import type { ScheduleSpec } from '../coordination/types.ts'
import type { JobRequest } from '../types.ts'

/** The part of a configuration that schedules are made of. */
export type Declared = Pick<Config, 'definition' | 'tasks'>

/** Keys of a prediction where a schedule gives no `limit`. */
const PREDICTED = 100

/** `peaks` warms the predicted keys besides the top of each task: without tasks it would be the predicted ones alone. */
function presetOf(name: ScheduleDefinition['preset'], tasks: Declared['tasks']): Partial<ScheduleSpec> {
  switch (name) {
    case 'daily':
      return { cron: '0 2 * * *', critical: true, predictive: true }
    case 'hourly':
      return { cron: '0 * * * *', predictive: true, limit: 50 }
    case 'peaks':
      return { cron: '0 7,11,17 * * *', tasks: [...tasks.keys()], predictive: true, limit: 100, priority: 100 }
    case 'full':
      return { cron: '*/30 * * * *' }
    case undefined:
      return {}
  }
}

/** What a schedule of the configuration means; what it says itself goes before its preset. */
export function toSpec(definition: ScheduleDefinition, tasks: Declared['tasks']): ScheduleSpec {
  const { preset: name, interval, jitter, ...own } = definition
  const preset = presetOf(name, tasks)
  const selects = own.tasks !== undefined || own.tags !== undefined || own.critical !== undefined
  return specWithDefaults({
    ...preset,
    ...(selects ? { tasks: undefined, critical: undefined } : {}),
    ...own,
    ...(interval === undefined ? {} : { intervalMs: parseDuration(interval) as number }),
    ...(jitter === undefined ? {} : { jitterMs: parseDuration(jitter) as number }),
  })
}

/** The fields of a spec, and nothing else, with every default filled in. */
export function specWithDefaults(given: Partial<ScheduleSpec>): ScheduleSpec {
  const { cron, intervalMs, tasks, tags, critical, limit, priority, params, ttlMs, replaces } = given
  const stated = Object.entries({ cron, intervalMs, tasks, tags, critical, limit, priority, params, ttlMs, replaces })
  return {
    ...Object.fromEntries(stated.filter(([, value]) => value !== undefined)),
    timeZone: given.timeZone ?? 'UTC',
    predictive: given.predictive ?? false,
    jitterMs: given.jitterMs ?? 0,
    catchUp: given.catchUp ?? false,
  }
}

/** The schedules that a configuration declares: those of `schedules`, and each task's own, of the task's name. */
export function declaredSchedules({ definition, tasks }: Declared): Map<string, ScheduleSpec> {
  const specs = new Map<string, ScheduleSpec>()
  for (const task of tasks.values()) {
    if (task.schedule === undefined) continue
    specs.set(task.name, specWithDefaults({ cron: task.schedule, tasks: [task.name] }))
  }
  for (const [name, one] of Object.entries(definition.schedules ?? {})) specs.set(name, toSpec(one, tasks))
  return specs
}

/** Whether a schedule says which tasks it warms; one that does not warms all, or, if it is predictive, predicted keys only. */
export function namesTasks({ tasks, tags, critical }: ScheduleSpec): boolean {
  return (tasks?.length ?? 0) > 0 || (tags?.length ?? 0) > 0 || critical === true
}

/** What a run of the schedule asks for; null: it warms predicted keys only. */
export function requestOf(spec: ScheduleSpec): JobRequest | null {
  if (spec.predictive && !namesTasks(spec)) return null
  const { tasks, tags, critical, params, limit, priority, ttlMs } = spec
  return {
    ...(tasks === undefined ? {} : { tasks }),
    ...(tags === undefined ? {} : { tags }),
    ...(critical === undefined ? {} : { critical }),
    ...(params === undefined ? {} : { params: { ...params } }),
    ...(limit === undefined ? {} : { count: limit }),
    ...(priority === undefined ? {} : { priority }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
  }
}

/** How many keys of the prediction a run warms; 0: none. */
export function predictedLimit({ predictive, limit }: ScheduleSpec): number {
  return predictive ? (limit ?? PREDICTED) : 0
}
