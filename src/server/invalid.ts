import type { z } from '@hono/zod-openapi'
import type { Config } from '../config/load.ts'
import { isPrewarmError, redact } from '../errors.ts'
import { strategyNames } from '../job/strategy/register.ts'
import { type FieldError, RequestError } from './problem.ts'

/** Fields told of in one answer. */
const MAX_ERRORS = 20

const PLACES: Record<string, string> = { json: 'body', query: 'query', param: 'path', header: 'headers' }

/** The error of a request that a schema refuses: each field with its value and what was expected. */
export function invalid(target: string, error: z.core.$ZodError, given: unknown): RequestError {
  const place = PLACES[target] ?? target
  const errors = error.issues.flatMap((issue) => fieldErrors(issue, given, place)).slice(0, MAX_ERRORS)
  return new RequestError('REQUEST_INVALID', errors.map(line).join('; '), { errors })
}

/** What the warmer refused of a request, by the names that the request has for its fields. */
export function refused(error: unknown, request: object): unknown {
  if (!isPrewarmError(error) || error.code !== 'REQUEST_INVALID') return error
  const [, name = '', is, expected] = /^(\w+) is (.*?), expected (.*)$/s.exec(error.message) ?? []
  if (is === undefined || expected === undefined) return error
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const field = [snake, snake.replace(/_ms$/, '')].find((one) => Object.hasOwn(request, one)) ?? snake
  const value = show((request as Record<string, unknown>)[field])
  return new RequestError(error.code, `${field} is ${is}, expected ${expected}`, {
    errors: [{ field, value, expected }],
  })
}

/**
 * Looks whether a request names a strategy that there is.
 *
 * @throws {RequestError} `REQUEST_INVALID` naming the known ones
 */
export function knownStrategy({ definition }: Config, request: object, field = 'strategy'): void {
  const name = (request as Record<string, unknown>)[field]
  const names = strategyNames(definition.strategies)
  if (name === undefined || names.includes(name as string)) return
  const error = { field, value: show(name), expected: `one of ${names.join(', ')}` }
  throw new RequestError('REQUEST_INVALID', line(error), { errors: [error] })
}

function line({ field, value, expected }: FieldError): string {
  const is = value === null ? 'missing or null' : typeof value === 'string' ? `'${value}'` : value
  return `${field} is ${is}, expected ${expected}`
}

function fieldErrors(issue: z.core.$ZodIssue, given: unknown, place: string): FieldError[] {
  const found = issue.path.reduce<unknown>((at, step) => (Object(at) as Record<PropertyKey, unknown>)[step], given)
  const path = issue.path.map(String)
  if (issue.code !== 'unrecognized_keys')
    return [{ field: path.join('.') || place, value: show(found), expected: issue.message }]
  return issue.keys.map((key) => ({
    field: [...path, key.slice(0, 100)].join('.'),
    value: show((found as Record<string, unknown>)[key]),
    expected: issue.message,
  }))
}

function show(value: unknown): FieldError['value'] {
  if (value === undefined || value === null) return null
  if (typeof value === 'number' || typeof value === 'boolean')
    return Number.isFinite(Number(value)) ? value : String(value)
  if (typeof value !== 'string') return Array.isArray(value) ? `a list of ${value.length}` : 'an object'
  return redact(value.length > 100 ? `${value.slice(0, 100)}…` : value)
}
