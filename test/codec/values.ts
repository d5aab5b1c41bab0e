/** Values that all forms of JSON take, or refuse. */
import fc from 'fast-check'
import type { Held } from '../contract/codec.contract.ts'

/** Any value of JSON as JSON gives it back (no -0), with these texts in it. */
export function jsonOf(texts: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((given) => given + 0)
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      texts,
      number,
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.string().filter((name) => name !== '__proto__'),
        tie('value'),
        { maxKeys: 4, noNullPrototype: true },
      ),
    ),
  }))
  return value
}

const cycle: Record<string, unknown> = {}
cycle.self = cycle

/** What can't be JSON. */
export const NO_JSON: [string, unknown][] = [
  ['undefined', undefined],
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['a bigint', { a: 1n }],
  ['a bigint alone', 1n],
  ['a cycle', cycle],
  ['a value whose JSON is nothing', { toJSON: () => undefined }],
]

/** What is no entry. */
export const NO_TEXT: [string, Held][] = [
  ['a hash', { value: '1' }],
  ['empty text', ''],
  ['half of an entry', '{"value":'],
  ['a value without an entry', '"film"'],
  ['null', 'null'],
  ['an entry without a value', '{"a":1}'],
  ['a list', '[1]'],
]
