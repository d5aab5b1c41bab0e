import { describe, it } from 'node:test'
import { assert, assertEquals, assertNotEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { keyTemplate } from '../../src/keyspace/template.ts'
import { check } from '../support/property.ts'

/** Any text but none at all and lone surrogates, with what is special in keys more often than chance would have it. */
const value = fc
  .oneof(
    { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1 }) },
    fc.string({ unit: fc.constantFrom(...':{}*?[]\\%/-_. #|😀😁é\r\n\u0000\u007f', '%3A', 'a', '1'), minLength: 1 }),
  )
  .filter((text) => text !== '' && text.isWellFormed())

/** A template of one to four placeholders with a text between two of them. */
const source = fc
  .record({
    first: fc.constantFrom('', 'k:', 'session:', '{a}', 'é'),
    names: fc.array(fc.constantFrom('a', 'b', 'id', '_x1'), { minLength: 1, maxLength: 4 }),
    between: fc.constantFrom(
      ':',
      '::',
      '/',
      '-',
      '.',
      '_',
      ' ',
      '#',
      '^',
      '$',
      '|',
      '(',
      ')',
      'é',
      '漢',
      '😀',
      ':x:',
      '"',
    ),
    last: fc.constantFrom('', ':profile', '/', '-v2'),
  })
  .map(({ first, names, between, last }) => {
    const body = names.map((name) => `{${name}}`).join(between)
    return first + (first === '{a}' ? between : '') + body + last
  })

const params = fc.record({ a: value, b: value, id: value, _x1: value })

function only(all: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, all[name] as string]))
}

describe('keyTemplate', () => {
  it('match gives back what format was given, whatever the text', () => {
    const property = fc.property(source, params, (text, all) => {
      const template = keyTemplate(text)
      assertEquals(template.match(template.format(all)), only(all, template.names))
    })
    check(property, 1000)
  })

  it('format never gives two sets of values one key', () => {
    const property = fc.property(source, params, params, fc.boolean(), (text, one, other, swap) => {
      const template = keyTemplate(text)
      // Half the time the two differ only in where one value ends and the next begins.
      const second = swap ? { ...one, a: one.b, b: one.a } : other
      const [left, right] = [only(one, template.names), only(second, template.names)]
      if (JSON.stringify(left) === JSON.stringify(right)) return
      assertNotEquals(template.format(left), template.format(right))
    })
    check(property, 1000)
  })

  it('match takes no key that format would not give', () => {
    const piece = fc.constantFrom(
      'a',
      ':',
      '%3A',
      '%3a',
      '%',
      '%25',
      '%C3%A9',
      'é',
      '%41',
      '*',
      '/',
      '',
      '1',
      '😀',
      '%F0',
    )
    const key = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
    const property = fc.property(source, key, params, (text, end, all) => {
      const template = keyTemplate(text)
      for (const candidate of [end, `k:${end}`, [...template.format(all)].slice(0, -1).join('') + end]) {
        const matched = template.match(candidate)
        if (matched !== null) assertEquals(template.format(matched), candidate)
      }
    })
    check(property, 1000)
  })

  it('format lets no value bring a delimiter, a glob or a control character into the key', () => {
    const property = fc.property(params, (all) => {
      const key = keyTemplate('k/{a}/{b}').format(all)
      assertEquals(key.split('/').length, 3)
      assert(!/[*?[\]\\{}:\u0000-\u001f\u007f]/.test(key.slice(2)), key)
    })
    check(property, 500)
  })

  it('format takes scalars and dates', () => {
    const template = keyTemplate('k:{a}')
    const date = new Date(0)
    const given = ['x', 7, -1.5, 12n, true, date].map((a) => template.match(template.format({ a }))?.a)
    assertEquals(given, ['x', '7', '-1.5', '12', 'true', date.toISOString()])
  })

  it('format refuses what is no scalar, empty, missing or far too long', () => {
    const template = keyTemplate('k:{a}')
    const bad = [
      undefined,
      null,
      '',
      {},
      [],
      () => 1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      new Date(Number.NaN),
      '\ud800',
    ]
    for (const a of [...bad, 'x'.repeat(5000)]) {
      const error = assertThrows(() => template.format({ a }), PrewarmError)
      assertEquals(error.code, 'KEY_INVALID')
    }
  })

  it('match refuses a key in which one placeholder has two values', () => {
    const template = keyTemplate('{a}:{b}:{a}')
    assertEquals(template.match('1:2:1'), { a: '1', b: '2' })
    assertEquals(template.match('1:2:3'), null)
  })

  it('keyTemplate refuses a source that could not be read back', () => {
    const bad = [
      '',
      '{a}{b}',
      'k:{',
      'k:}',
      'k:{}',
      'k:{a b}',
      'k:{1a}',
      'k*:{a}',
      'k?{a}',
      '[k]{a}',
      'k%{a}',
      '{a}b',
      '\n{a}',
    ]
    for (const text of bad) assertEquals(assertThrows(() => keyTemplate(text), PrewarmError).code, 'KEY_INVALID')
  })

  it('glob covers every key', () => {
    assertEquals(keyTemplate('user:{id}:profile').glob, 'user:*:profile')
    assertEquals(keyTemplate('user:{id}:profile').names, ['id'])
  })
})
