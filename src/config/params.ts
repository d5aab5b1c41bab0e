import { PrewarmError } from '../errors.ts'
import type { Params } from '../types.ts'

/** The declared parameters of one task. */
export interface ParamSpec {
  readonly names: readonly string[]
  /** Names that have no default and so must be given. */
  readonly required: readonly string[]
  /**
   * Defaults with `overrides` laid over them; text (as flags give it) is read as the default's type.
   *
   * @throws {PrewarmError} `PARAM_INVALID` naming the parameter, its value and what was expected
   */
  parse(overrides: Params): Params
}

interface ZodLike {
  safeParse(input: unknown): { success: true; data: Params } | { success: false; error: { issues: ZodIssueLike[] } }
  shape?: Record<string, unknown>
}
interface ZodIssueLike {
  path: PropertyKey[]
  message: string
}

/** Parameters from plain defaults or a zod object; `mentioned` are names that the query text uses. */
export function paramSpec(task: string, declared: unknown, mentioned: readonly string[]): ParamSpec {
  return isZodObject(declared)
    ? zodParams(task, declared, mentioned)
    : plainParams(task, (declared ?? {}) as Params, mentioned)
}

function plainParams(task: string, defaults: Params, mentioned: readonly string[]): ParamSpec {
  const names = [...new Set([...Object.keys(defaults), ...mentioned])]
  return {
    names,
    required: names.filter((name) => defaults[name] === undefined),
    parse(overrides) {
      const params: Params = {}
      for (const name of names) {
        const given = overrides[name]
        const value = given === undefined ? defaults[name] : like(defaults[name], given)
        if (value === undefined) {
          if (given === undefined) throw missing(task, name)
          throw new PrewarmError(
            'PARAM_INVALID',
            `Parameter '${name}' of task '${task}' is ${show(given)}, expected a ${typeof defaults[name]} like ${show(defaults[name])}`,
          )
        }
        params[name] = value
      }
      return params
    },
  }
}

function zodParams(task: string, schema: ZodLike, mentioned: readonly string[]): ParamSpec {
  const declared = Object.keys(schema.shape ?? {})
  const undeclared = mentioned.filter((name) => !declared.includes(name))
  const names = [...new Set([...declared, ...mentioned])]
  const parsedEmpty = schema.safeParse({})
  const issues = parsedEmpty.success ? [] : parsedEmpty.error.issues
  const missingNames = issues.map((issue) => String(issue.path[0])).filter((name) => declared.includes(name))
  return {
    names,
    required: [...new Set([...missingNames, ...undeclared])],
    parse(overrides) {
      const given = Object.fromEntries(Object.entries(overrides).filter(([name]) => declared.includes(name)))
      const parsed = parseFlags(schema, given)
      if (!parsed.success) throw refused(task, overrides, parsed.error.issues[0])
      const params = { ...parsed.data }
      for (const name of undeclared) {
        if (overrides[name] === undefined) throw missing(task, name)
        params[name] = overrides[name]
      }
      return params
    },
  }
}

/** Flags are text: what reads as a number or a boolean is tried as one first, then, where that is refused, as the text it is. */
function parseFlags(schema: ZodLike, given: Params): ReturnType<ZodLike['safeParse']> {
  const typed = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, guess(value)]))
  const first = schema.safeParse(typed)
  if (first.success) return first
  const text = { ...typed }
  for (const { path } of first.error.issues) {
    const name = String(path[0])
    if (name in given) text[name] = given[name]
  }
  const second = schema.safeParse(text)
  return second.success ? second : first
}

function refused(task: string, overrides: Params, issue: ZodIssueLike | undefined): PrewarmError {
  const reason = issue?.message ?? 'not valid'
  const name = issue?.path[0] === undefined ? undefined : String(issue.path[0])
  if (name === undefined) return new PrewarmError('PARAM_INVALID', `Parameters of task '${task}': ${reason}`)
  if (!(name in overrides)) return missing(task, name)
  return new PrewarmError(
    'PARAM_INVALID',
    `Parameter '${name}' of task '${task}' is ${show(overrides[name])}: ${reason}`,
  )
}

/** `given` as the type of `model`; undefined if it can't be read so. */
function like(model: unknown, given: unknown): unknown {
  if (model === undefined || model === null) return given
  if (Array.isArray(model)) return listLike(model, given)
  if (typeof given !== 'string' || typeof model === 'string') {
    return typeof given === typeof model && given !== null ? given : undefined
  }
  if (typeof model === 'number') {
    const number = Number(given)
    return given.trim() !== '' && Number.isFinite(number) ? number : undefined
  }
  if (typeof model === 'bigint') return /^-?\d+$/.test(given) ? BigInt(given) : undefined
  if (typeof model === 'boolean') return given === 'true' ? true : given === 'false' ? false : undefined
  if (model instanceof Date) {
    const date = new Date(given)
    return Number.isNaN(date.getTime()) ? undefined : date
  }
  return undefined
}

function listLike(model: readonly unknown[], given: unknown): unknown[] | undefined {
  const items = typeof given === 'string' ? given.split(',').map((item) => item.trim()) : given
  if (given === '') return []
  if (!Array.isArray(items)) return undefined
  const list = items.map((item) => like(model[0], item))
  return list.includes(undefined) ? undefined : list
}

function guess(value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (value === 'true' || value === 'false') return value === 'true'
  return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value
}

function isZodObject(declared: unknown): declared is ZodLike {
  return typeof declared === 'object' && declared !== null && typeof (declared as ZodLike).safeParse === 'function'
}

function missing(task: string, name: string): PrewarmError {
  return new PrewarmError(
    'PARAM_INVALID',
    `Parameter '${name}' of task '${task}' has no value: give --${name} VALUE, or a default in tasks.${task}.params`,
  )
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}
