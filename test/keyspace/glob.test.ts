import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { glob } from '../../src/keyspace/glob.ts'
import { check } from '../support/property.ts'

/** Pattern, keys that match, keys that don't. */
const CASES: [string, string[], string[]][] = [
  ['*', ['', 'a', 'ü:😀'], []],
  ['user:*', ['user:', 'user:1', 'user:*'], ['user', 'users:1', ' user:1']],
  ['*:end', [':end', 'a:end', ':end:end'], ['end', 'a:end ']],
  ['a*b*c', ['abc', 'aXbYc', 'abcbc'], ['ab', 'acb', 'abcX']],
  ['a**b', ['ab', 'axxb'], ['a', 'b']],
  ['k:?', ['k:1', 'k:?'], ['k:', 'k:12', 'k:ü']],
  ['k:??', ['k:12', 'k:ü'], ['k:1']],
  ['[abc]x', ['ax', 'cx'], ['dx', 'x', 'abcx']],
  ['[a-c]x', ['ax', 'bx'], ['dx', '-x']],
  ['[c-a]x', ['ax', 'bx'], ['dx']],
  ['[^a]x', ['bx', '^x'], ['ax', 'x']],
  ['[^]x', ['ax', '^x'], ['x']],
  ['[]x', [], ['x', ']x', '[]x']],
  ['[\\]]', [']'], ['\\', '[']],
  ['[a', ['a'], ['b', '[a']],
  ['[', [], ['[', '']],
  ['[a-]', ['a', ']', '^'], ['-', 'b']],
  ['\\*', ['*'], ['\\*', 'a']],
  ['\\[a]', ['[a]'], ['a']],
  ['a\\', ['a\\'], ['a']],
  ['é*', ['é', 'éa'], ['e', 'Ã']],
]

describe('glob', () => {
  for (const [pattern, yes, no] of CASES)
    it(`${pattern} matches what Redis matches`, () => {
      const { matches } = glob(pattern)
      assertEquals([yes.filter((key) => !matches(key)), no.filter(matches)], [[], []])
    })

  it('literalPrefix is what every match begins with', () => {
    const prefixes = ['user:*', 'a\\*b?', 'é😀[a]', '*a', 'plain', '\\', '[a]b'].map((text) => glob(text).literalPrefix)
    assertEquals(prefixes, ['user:', 'a*b', 'é😀', '', 'plain', '\\', ''])
  })

  it('scanPattern makes neighbouring stars one, and shows Redis four at most', () => {
    const patterns = ['a**b***', '[**]\\**', '*a*b*c*d', '*a*b*c*d*é*f*', 'é?**'].map((text) => glob(text).scanPattern)
    assertEquals(patterns, ['a*b*', '[**]\\**', '*a*b*c*d', '*a*b*c*', 'é?*'])
  })

  it('scanPattern leaves nothing out', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aab*?[]^-\\é'), minLength: 1, maxLength: 24 })
    const key = fc.string({ unit: fc.constantFrom(...'ab-^]\\é'), maxLength: 12 })
    const property = fc.property(text, key, (pattern, name) => {
      const one = glob(pattern)
      if (one.matches(name)) assert(glob(one.scanPattern).matches(name) && name.startsWith(one.literalPrefix))
    })
    check(property, 2000)
  })

  it('matches in time that does not explode with the stars', () => {
    // A matcher that tries every star again would need some 10^30 steps.
    const { matches } = glob(`${'*a'.repeat(15)}*b`)
    assertEquals([matches('a'.repeat(4000)), matches(`${'a'.repeat(4000)}b`)], [false, true])
  })

  it('takes 256 characters and 16 stars, and says what is too much', () => {
    glob('a'.repeat(256))
    glob('*a'.repeat(16))
    glob('*'.repeat(256))
    for (const [pattern, words] of [
      ['a'.repeat(257), `'${'a'.repeat(40)}…': it is 257 characters long, at most 256`],
      ['*a'.repeat(17), "it has 17 '*', at most 16"],
      ['', 'it is empty'],
    ] as const) {
      const error = assertThrows(() => glob(pattern), PrewarmError)
      assertEquals(error.code, 'REQUEST_INVALID')
      assert(error.message.includes(words), error.message)
    }
  })
})
