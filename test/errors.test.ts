import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { isPrewarmError, PrewarmError, redact, toFailure } from '../src/errors.ts'
import { check } from './support/property.ts'

describe('PrewarmError', () => {
  it('toJSON is plain, complete and survives a thread', () => {
    const cause = new Error('inner')
    const error = new PrewarmError('STORE_REFUSED', 'no', { detail: 'OOM', cause })
    assertEquals(error.toJSON(), { code: 'STORE_REFUSED', message: 'no', detail: 'OOM' })
    assertEquals(structuredClone(error.toJSON()), error.toJSON())
    assertEquals(JSON.parse(JSON.stringify(error)), error.toJSON())
    assertEquals([error.name, error.cause], ['PrewarmError', cause])
  })

  it('toJSON leaves out a detail that is not there', () => {
    assertEquals(Object.keys(new PrewarmError('INTERNAL', 'x').toJSON()), ['code', 'message'])
  })

  it('isPrewarmError looks at the name and the code, not at the class', () => {
    const foreign = Object.assign(new Error('x'), { name: 'PrewarmError', code: 'INTERNAL' })
    assertEquals([new PrewarmError('USAGE', 'x'), foreign].map(isPrewarmError), [true, true])
    assertEquals([new Error('x'), { code: 'USAGE', name: 'PrewarmError' }, null, undefined, 'x'].map(isPrewarmError), [
      false,
      false,
      false,
      false,
      false,
    ])
  })
})

describe('toFailure', () => {
  it('toFailure takes anything that was thrown', () => {
    const error = Object.assign(new Error('refused by redis://u:secret@h'), { code: 'ECONNREFUSED' })
    assertEquals(toFailure(error, 'STORE_UNREACHABLE'), {
      code: 'STORE_UNREACHABLE',
      message: 'refused by redis://***@h',
      detail: 'ECONNREFUSED',
    })
    assertEquals(toFailure('text'), { code: 'INTERNAL', message: 'text' })
    assertEquals(toFailure(null), { code: 'INTERNAL', message: 'null' })
    assertEquals(toFailure(undefined), { code: 'INTERNAL', message: 'undefined' })
    assertEquals(toFailure(new PrewarmError('USAGE', 'x'), 'INTERNAL'), { code: 'USAGE', message: 'x' })
  })
})

/** Text and what is left of it. */
const REDACTED: [string, string][] = [
  ['redis://:p@h', 'redis://***@h'],
  ['redis://u:p@h:6379/0', 'redis://***@h:6379/0'],
  ['rediss://u@h', 'rediss://***@h'],
  ['postgres://u:p%40q@h/db', 'postgres://***@h/db'],
  ['postgres://u:p/q@h/db', 'postgres://***@h/db'],
  ['postgres://u:p@q@h/db', 'postgres://***@h/db'],
  ["postgres://u:it's@h/db", 'postgres://***@h/db'],
  ['postgresql+ssl://u:p@h', 'postgresql+ssl://***@h'],
  ['POSTGRES://U:P@H', 'POSTGRES://***@H'],
  ['cannot reach redis://u:p@h:6379: refused', 'cannot reach redis://***@h:6379: refused'],
  ["'redis://u:p@a' and 'redis://v:q@b'", "'redis://***@a' and 'redis://***@b'"],
  ['redis://u:p@[::1]:6379', 'redis://***@[::1]:6379'],
  ['postgres://h/db?user=u&password=secret', 'postgres://h/db?user=u&password=***'],
]

const LEFT_ALONE = [
  'mail bob@example.com',
  'a:b@c',
  'redis://h:6379/0',
  'see https://example.com/x and mail bob@example.com',
  'https://example.com/users/bob@example.com',
  'redis://h, bob@example.com',
  '',
]

describe('redact', () => {
  for (const [text, expected] of REDACTED) it(`redact masks ${text}`, () => assertEquals(redact(text), expected))
  for (const text of LEFT_ALONE) it(`redact leaves '${text}' alone`, () => assertEquals(redact(text), text))

  it('redact lets no password through that an URL can hold', () => {
    const secret = fc.string({ minLength: 4 }).map((text) => `S3CR${encodeURIComponent(text)}T`)
    const property = fc.property(
      secret,
      fc.constantFrom('', 'u'),
      fc.constantFrom('', ' ', "'", '"', '('),
      (password, user, around) => {
        const text = `failed: ${around}redis://${user}:${password}@host:1/0${around} again`
        assert(!redact(text).includes(password), redact(text))
        assert(redact(text).includes('@host:1/0'))
      },
    )
    check(property)
  })
})
