import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { namedSql } from '../../src/origin/sql-text.ts'
import { check } from '../support/property.ts'

/** A piece of SQL and what becomes of it; null: its text as it is. */
type Piece = { text: string; name?: string; becomes?: string }

const inside = fc.array(fc.constantFrom('a', ' ', ':x', '::y', ';', '$1', '--', '/*', '$$', 'é', '%'), { maxLength: 5 })
const quoted = (mark: string) =>
  inside.map((parts): Piece => ({ text: `${mark}${parts.join('')}${mark}${mark}${mark}` }))

const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.constantFrom('limit', 'n', '_a1', 'X').map((name) => ({ text: `:${name}`, name })),
  quoted("'"),
  quoted('"'),
  inside.map((parts) => ({ text: `E'${parts.join('')}\\'\\\\'''` })),
  inside.map((parts) => ({ text: `$$${parts.filter((part) => part !== '$$').join('')}$$` })),
  inside.map((parts) => ({ text: `$tag$ ${parts.join('')} $tag$` })),
  inside.map((parts) => ({ text: `-- ${parts.join('')}\n`, becomes: ' \n' })),
  inside.map((parts) => ({ text: `/* ${parts.filter((part) => part !== '/*').join('')} */`, becomes: ' ' })),
  fc
    .constantFrom(
      'select',
      'x::int',
      'a[1:2]',
      'a[lo:hi]',
      '(a)::text[]',
      "date'2024-01-01'",
      'b -> 0',
      '?',
      '@>',
      'a:=1',
    )
    .map((text) => ({ text })),
)

describe('namedSql', () => {
  it('namedSql numbers its parameters and leaves literals, names, casts and dollar quotes alone', () => {
    const property = fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), fc.boolean(), (pieces, ends) => {
      const names: string[] = []
      const expected = pieces.map(({ text, name, becomes }) => {
        if (name === undefined) return becomes ?? text
        if (!names.includes(name)) names.push(name)
        return `$${names.indexOf(name) + 1}`
      })
      const source = pieces.map(({ text }) => text).join(' ')
      assertEquals(namedSql(source + (ends ? ' ; -- end' : '')), { text: expected.join(' ').trim(), names })
    })
    check(property, 2000)
  })

  it('namedSql leaves a backslash alone in a literal that follows a word ending in e', () => {
    const source = "select a from t where a like :p escape'\\' and b = ' :y' and c = :q"
    const text = "select a from t where a like $1 escape'\\' and b = ' :y' and c = $2"
    assertEquals(namedSql(source), { text, names: ['p', 'q'] })
  })

  it('namedSql drops a comment within a comment, as Postgres does', () => {
    assertEquals(namedSql('select 1 /* a /* b */ :x */ + :y'), { text: 'select 1   + $1', names: ['y'] })
  })

  it('namedSql refuses numbered parameters and a second statement', () => {
    for (const source of ['select $1', 'select 1; select 2', 'select 1; :x']) {
      assertEquals(assertThrows(() => namedSql(source), PrewarmError).code, 'CONFIG_INVALID')
    }
  })
})
