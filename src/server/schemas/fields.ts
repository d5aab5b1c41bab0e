import { z } from '@hono/zod-openapi'
import { parseDuration } from '../../config/duration.ts'
import { BOUNDS } from '../../config/fields.ts'

// Each field's error message is what was expected of it; invalid.ts says the rest.

type Bounds = readonly [min: number, max: number, whole: boolean]

export function number([min, max, whole]: Bounds) {
  const expected = `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`
  const any = z.number(expected)
  return (whole ? any.int(expected) : any).min(min, expected).max(max, expected)
}

/** A number in a query. */
export function queryNumber([min, max, whole]: Bounds) {
  const expected = `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`
  const any = z.coerce.number(expected)
  return (whole ? any.int(expected) : any).min(min, expected).max(max, expected)
}

/** Ms as a number, or text such as `'5m'`; {@linkcode parseDuration} reads it. */
export function duration([min, max]: Bounds) {
  const expected = `ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from ${min} to ${max} ms`
  // One check for both, so that there is one error.
  const any = z.number(expected).openapi({ minimum: min, maximum: max })
  const unit = z.string(expected).openapi({ pattern: '^\\s*\\d+(\\.\\d+)?\\s*(ms|s|m|h|d|w)\\s*$' })
  return z.union([any, unit], expected).refine((value) => {
    const ms = parseDuration(value)
    return ms !== null && ms >= min && ms <= max
  }, expected)
}

export function text(max: number) {
  const expected = `text of 1 to ${max} characters`
  return z.string(expected).min(1, expected).max(max, expected)
}

export function texts(max: number, length: number) {
  const expected = `a list of 1 to ${max} texts, each of 1 to ${length} characters`
  return z
    .array(z.string(expected).min(1, expected).max(length, expected), expected)
    .min(1, expected)
    .max(max, expected)
}

export const flag = () => z.boolean('true or false')

export function oneOf<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names, `one of ${names.join(', ')}`)
}

/** An object with these fields and no other. */
export function fields<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const names = Object.keys(shape)
  const known = names.length === 0 ? 'no fields' : `one of the fields ${names.join(', ')}`
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? known : 'an object') })
}

export const NAME = /^[\w-]{1,64}$/
export const name = () => z.string().regex(NAME, "a name of 1 to 64 letters, digits, '-' and '_'")

/** Which there are is the configuration's to say: `knownStrategy` looks. */
export const strategy = () =>
  z.string('the name of a strategy').openapi({
    description: 'selective, breadth, priority, or one of the configuration’s own strategies',
    example: 'priority',
  })
export const priority = () => number([-1_000_000, 1_000_000, false])
export const ttl = () => duration(BOUNDS.ttlMs)
/** Names of tasks, or tags. */
export const names = () => texts(1000, 256)
export const params = () => z.record(z.string(), z.unknown(), 'values by name')
