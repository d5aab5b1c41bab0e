import { BOUNDS } from '../config/fields.ts'
import type { Config } from '../config/load.ts'
import type { ScheduleSpec } from '../coordination/types.ts'
import { type ErrorCode, PrewarmError } from '../errors.ts'
import { selectTasks, settleParams } from '../job/select.ts'
import { timetable } from './next-run.ts'
import { type Declared, declaredSchedules, requestOf, specWithDefaults } from './spec.ts'

type Tasks = Config['tasks']

const NO_JSON = 'not JSON'
const NAME = /^[\w-]{1,64}$/
/** Between two runs, and the longest pause that a timer could take, ms. */
const INTERVAL_MS = [1000, 2_147_483_647, false] as const
const PRIORITY = [-1_000_000, 1_000_000, false] as const

/** What is wrong with a field: `is` says its value where that is not the field's own. */
class Wrong extends Error {
  readonly field: string

  constructor(field: string, value: unknown, expected: string) {
    super(`is ${show(value)}, expected ${expected}`)
    this.field = field
  }
}

/**
 * Checks a schedule that is registered while running, and fills its defaults in.
 *
 * @param nowMs a schedule must run at least once after this
 * @throws {PrewarmError} `REQUEST_INVALID` naming the field, its value and what was expected
 */
export function checkedSpec(name: string, given: Partial<ScheduleSpec>, tasks: Tasks, nowMs: number): ScheduleSpec {
  return naming('REQUEST_INVALID', '', {}, () => {
    if (!NAME.test(name)) throw new Wrong('name', name, "1 to 64 letters, digits, '-' and '_'")
    if (typeof given !== 'object' || given === null) throw new Wrong('spec', given, '{ cron, tasks, … }')
    const spec = specWithDefaults(given)
    checkSpec(spec, tasks, nowMs)
    // It is kept as JSON.
    if (show(spec.params) === NO_JSON) throw new Wrong('params', spec.params, 'values that can be kept as JSON')
    return spec
  })
}

/**
 * Checks the schedules that a configuration declares.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` naming the field, its value and what was expected
 */
export function checkSchedules(config: Declared, nowMs: number): void {
  const { definition, tasks } = config
  const own = new Map(Object.entries(definition.schedules ?? {}))
  for (const [name, spec] of declaredSchedules(config)) {
    const isTasks = tasks.get(name)?.schedule !== undefined
    if (isTasks && own.has(name)) {
      throw new PrewarmError(
        'CONFIG_INVALID',
        `schedules.${name} has the name of a task with a schedule of its own, expected another name, or no tasks.${name}.schedule`,
      )
    }
    const place = own.has(name) ? `schedules.${name}.` : `tasks.${name}.`
    // As the file calls them.
    const fields: Record<string, string> = own.has(name)
      ? { intervalMs: 'interval', jitterMs: 'jitter' }
      : { cron: 'schedule' }
    naming('CONFIG_INVALID', place, fields, () => {
      if (!NAME.test(name)) throw new Wrong('schedule', name, 'a task whose name has at most 64 characters')
      checkSpec(spec, tasks, nowMs)
    })
  }
}

function checkSpec(spec: ScheduleSpec, tasks: Tasks, nowMs: number): void {
  checkTiming(spec, nowMs)
  bounded('limit', spec.limit, BOUNDS.count)
  bounded('priority', spec.priority, PRIORITY)
  bounded('ttlMs', spec.ttlMs, BOUNDS.ttlMs)
  bounded('jitterMs', spec.jitterMs, BOUNDS.delayMs)
  for (const field of ['critical', 'predictive', 'catchUp'] as const) {
    const value: unknown = spec[field]
    if (value !== undefined && typeof value !== 'boolean') throw new Wrong(field, value, 'true or false')
  }
  const { replaces }: { replaces?: unknown } = spec
  if (replaces !== undefined && (typeof replaces !== 'string' || !NAME.test(replaces)))
    throw new Wrong('replaces', replaces, 'the name of a schedule')
  const tags = [...new Set([...tasks.values()].flatMap((task) => task.tags))]
  known('tasks', spec.tasks, [...tasks.keys()], 'tasks')
  known('tags', spec.tags, tags, 'tags')
  checkSelection(spec, tasks)
}

function checkTiming({ cron, intervalMs, timeZone }: ScheduleSpec, nowMs: number): void {
  if (cron !== undefined && intervalMs !== undefined) throw new Wrong('cron', cron, 'either a cron or an interval')
  if (typeof timeZone !== 'string' || !isTimeZone(timeZone)) {
    throw new Wrong('timeZone', timeZone, "the IANA name of a time zone, such as 'Europe/Berlin'")
  }
  bounded('intervalMs', intervalMs, INTERVAL_MS)
  if (intervalMs !== undefined) return
  const expected = "a cron expression of five or six fields, such as '0 2 * * *' (daily at 02:00)"
  if (typeof cron !== 'string') throw new Wrong('cron', cron, `${expected}, or an interval`)
  let next: number | null
  try {
    next = timetable({ cron, timeZone }).next(nowMs)
  } catch (error) {
    throw new Wrong('cron', cron, `${expected} (${(error as Error).message.replace(/^Cron\w+: /, '')})`)
  }
  if (next === null) throw new Wrong('cron', cron, `${expected}; this one never runs`)
}

/** That there is something to warm, with parameters that fit. */
function checkSelection(spec: ScheduleSpec, tasks: Tasks): void {
  const { params } = spec
  if (params !== undefined && (typeof params !== 'object' || params === null || Array.isArray(params))) {
    throw new Wrong('params', params, 'an object of parameters by name')
  }
  const request = requestOf(spec)
  if (request === null) {
    if (params === undefined) return
    throw new Wrong('params', params, 'none where only predicted keys are warmed: name tasks')
  }
  let selected: ReturnType<typeof selectTasks>
  try {
    selected = selectTasks(tasks, request)
  } catch (error) {
    const field = spec.critical === true ? 'critical' : 'tags'
    throw new Wrong(field, spec[field], `to leave a task to warm (${(error as Error).message})`)
  }
  try {
    settleParams(selected, request.params)
  } catch (error) {
    throw new Wrong('params', params, `a value for each parameter without a default (${(error as Error).message})`)
  }
}

function bounded(field: string, value: unknown, [min, max, whole]: readonly [number, number, boolean]): void {
  if (value === undefined) return
  if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return
  throw new Wrong(
    field,
    value,
    `a ${whole ? 'whole ' : ''}number from ${min} to ${max}${/Ms$/.test(field) ? ' ms' : ''}`,
  )
}

function known(field: string, value: unknown, names: readonly string[], what: string): void {
  if (value === undefined) return
  if (!Array.isArray(value)) throw new Wrong(field, value, `a list of ${what}`)
  for (const name of value) {
    if (names.includes(name)) continue
    throw new Wrong(
      field,
      name,
      names.length === 0 ? `no ${what}: there are none` : `${what} among ${names.join(', ')}`,
    )
  }
}

/** An offset such as '+02:00' is none: it knows no summer time. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== null
  } catch {
    return false
  }
}

/** What `work` finds wrong, as an error that names the place. */
function naming<T>(code: ErrorCode, place: string, fields: Record<string, string>, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    throw new PrewarmError(code, `${place}${fields[error.field] ?? error.field} ${error.message}`)
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 100)}'`
  if (typeof value === 'bigint') return String(value)
  try {
    return (JSON.stringify(value) ?? 'missing').slice(0, 100)
  } catch {
    return NO_JSON
  }
}
