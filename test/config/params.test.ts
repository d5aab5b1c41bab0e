import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { z } from 'zod'
import { paramSpec } from '../../src/config/params.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { Params } from '../../src/types.ts'

const plain = (defaults: Params, mentioned: string[] = []) => paramSpec('films', defaults, mentioned)
const day = new Date('2024-05-01T00:00:00Z')

/** A default, what a flag says, what becomes of it. */
const READ: [unknown, string, unknown][] = [
  [500, '20', 20],
  [500, '-2.5', -2.5],
  [5n, '12345678901234567890', 12345678901234567890n],
  [true, 'false', false],
  [false, 'true', true],
  ['new', '007', '007'],
  ['new', '', ''],
  [day, '2024-05-02', new Date('2024-05-02')],
  [[1, 2], '3, 4', [3, 4]],
  [['a'], 'b,c', ['b', 'c']],
  [[1], '', []],
  [null, 'x', 'x'],
]

const REFUSED: [unknown, unknown][] = [
  [500, 'many'],
  [500, ''],
  [500, ' '],
  [500, 'Infinity'],
  [500, true],
  [5n, '1.5'],
  [true, 'yes'],
  ['new', 7],
  [day, 'never'],
  [[1, 2], '3,x'],
  [[1, 2], { a: 1 }],
  [{ a: 1 }, 'x'],
]

const refusal = (work: () => unknown): string => {
  const error = assertThrows(work, PrewarmError)
  assertEquals(error.code, 'PARAM_INVALID')
  return error.message
}

describe('paramSpec, plain defaults', () => {
  for (const [byDefault, text, value] of READ)
    it(`parse reads '${text}' like ${JSON.stringify(byDefault, (_, one) => (typeof one === 'bigint' ? `${one}n` : one))}`, () =>
      assertEquals(plain({ p: byDefault }).parse({ p: text }), { p: value }))

  for (const [byDefault, given] of REFUSED)
    it(`parse refuses ${JSON.stringify(given)} where the default is ${String(byDefault)}`, () => {
      const message = refusal(() => plain({ p: byDefault }).parse({ p: given }))
      assert(message.startsWith("Parameter 'p' of task 'films' is "), message)
      assert(message.includes(', expected '), message)
    })

  it('parse keeps the defaults that nothing overrides, and passes on nothing that is not declared', () => {
    const spec = plain({ limit: 500, since: day }, ['limit'])
    assertEquals(spec.parse({ other: 1 }), { limit: 500, since: day })
    assertEquals(spec.parse({ limit: 7 }), { limit: 7, since: day })
    assertEquals([spec.names, spec.required], [['limit', 'since'], []])
  })

  it('required names what the query mentions and no default covers; parse asks for it', () => {
    const spec = plain({ limit: 500, since: undefined }, ['days'])
    assertEquals(
      [spec.names, spec.required],
      [
        ['limit', 'since', 'days'],
        ['since', 'days'],
      ],
    )
    const message = refusal(() => spec.parse({ since: 1 }))
    assertEquals(
      message,
      "Parameter 'days' of task 'films' has no value: give --days VALUE, or a default in tasks.films.params",
    )
    assertEquals(spec.parse({ since: 'x', days: 14 }), { limit: 500, since: 'x', days: 14 })
  })

  it('paramSpec without a declaration has the names that the query mentions', () => {
    assertEquals(paramSpec('films', undefined, ['a', 'a', 'b']).names, ['a', 'b'])
    assertEquals(paramSpec('films', undefined, []).parse({ a: 1 }), {})
  })
})

describe('paramSpec, zod object', () => {
  const schema = z.object({
    limit: z.number().int().min(1).default(500),
    code: z.string().default('x'),
    all: z.boolean().default(false),
  })
  const spec = paramSpec('films', schema, ['limit'])

  it('parse fills in the schema’s defaults', () => {
    assertEquals(spec.parse({}), { limit: 500, code: 'x', all: false })
    assertEquals([spec.names, spec.required], [['limit', 'code', 'all'], []])
  })

  it('parse reads the text of flags as the schema’s types, each by itself', () => {
    assertEquals(spec.parse({ limit: '20' }).limit, 20)
    assertEquals(spec.parse({ code: '007' }).code, '007')
    assertEquals(spec.parse({ all: 'true', limit: '1' }), { limit: 1, code: 'x', all: true })
    assertEquals(spec.parse({ limit: '20', code: '007' }), { limit: 20, code: '007', all: false })
  })

  it('parse takes values that have their type already', () => {
    assertEquals(spec.parse({ limit: 20, code: 'a', all: true }), { limit: 20, code: 'a', all: true })
  })

  it('parse names the parameter, its value and what the schema says', () => {
    assertEquals(
      refusal(() => spec.parse({ limit: 0 })),
      `Parameter 'limit' of task 'films' is 0: ${z.number().min(1).safeParse(0).error?.issues[0]?.message}`,
    )
    const message = refusal(() => spec.parse({ limit: '0' }))
    assert(message.startsWith("Parameter 'limit' of task 'films' is '0'"), message)
    assert(/>=|at least|small/i.test(message), message)
  })

  it('parse tells what a rule over several parameters says', () => {
    const range = z
      .object({ from: z.number().default(1), to: z.number().default(2) })
      .refine(({ from, to }) => from < to, 'from must be below to')
    const both = paramSpec('films', range, [])
    assertEquals([both.names, both.parse({ to: '9' })], [['from', 'to'], { from: 1, to: 9 }])
    for (const from of [5, '5']) assert(refusal(() => both.parse({ from })).includes('from must be below to'))
  })

  it('required names what has no default; parse asks for it', () => {
    const needs = paramSpec('films', z.object({ since: z.string(), limit: z.number().default(1) }), [])
    assertEquals(needs.required, ['since'])
    assert(refusal(() => needs.parse({})).includes('give --since VALUE'))
    assertEquals(needs.parse({ since: 'x' }), { since: 'x', limit: 1 })
  })

  it('required names what the query mentions and the schema does not; its value arrives', () => {
    const partly = paramSpec('films', z.object({ limit: z.number().default(1) }), ['limit', 'days'])
    assertEquals([partly.names, partly.required], [['limit', 'days'], ['days']])
    assert(refusal(() => partly.parse({})).includes('give --days VALUE'))
    assertEquals(Object.keys(partly.parse({ days: '14' })), ['limit', 'days'])
  })
})
