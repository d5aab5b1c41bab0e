import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import type { Codec } from '../../src/codec/types.ts'
import { isPrewarmError } from '../../src/errors.ts'
import { check } from '../support/property.ts'

/** What Redis would hold, read back: text, or an object of texts. */
export type Held = string | Record<string, string>

export interface CodecCases {
  /** A value and what a reader finds in Redis. */
  examples: readonly (readonly [name: string, value: unknown, held: Held])[]
  refused: readonly (readonly [name: string, value: unknown])[]
  /** Any value that the codec takes … */
  values: fc.Arbitrary<unknown>
  /** … and how a reader gets it back, in the form that `expected` gives. */
  decode: (held: Held) => unknown
  expected?: (value: unknown) => unknown
}

export function codecContract(codec: Codec, { examples, refused, values, decode, expected = (x) => x }: CodecCases) {
  describe(`${codec.name} codec`, () => {
    for (const [name, value, held] of examples) {
      it(`encode writes ${name}`, () => assertEquals(heldBy(codec, value), held))
    }

    for (const [name, value] of refused) {
      it(`encode refuses ${name} with VALUE_INVALID`, () => {
        const error = assertThrows(() => codec.encode(value))
        assert(isPrewarmError(error), `it threw ${error}`)
        assertEquals(error.code, 'VALUE_INVALID')
      })
    }

    it('encode loses nothing: a reader gets back what went in', () => {
      check(fc.property(values, (value) => assertEquals(decode(heldBy(codec, value)), expected(value))))
    })

    it('encode is pure: it leaves the value alone and gives the same result again', () => {
      const property = fc.property(values, (value) => {
        const before = structuredClone(value)
        const first = codec.encode(value)
        assertEquals(codec.encode(value), first)
        assertEquals(value, before)
      })
      check(property)
    })
  })
}

/** Encodes and lays the result out as Redis would: every part is text. */
function heldBy(codec: Codec, value: unknown): Held {
  const encoded = codec.encode(value)
  if (encoded.type === 'string') {
    assertEquals(typeof encoded.value, 'string')
    return encoded.value
  }
  assertEquals(encoded.fields.length % 2, 0)
  const fields: [string, string][] = []
  for (let at = 0; at < encoded.fields.length; at += 2) {
    const [field, text] = [encoded.fields[at] as string, encoded.fields[at + 1] as string]
    assertEquals([typeof field, typeof text], ['string', 'string'])
    fields.push([field, text])
  }
  return Object.fromEntries(fields)
}
