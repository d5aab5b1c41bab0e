import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import type { HeldValue } from '../../src/cache/tier.ts'
import type { Codec, EncodeContext } from '../../src/codec/types.ts'
import { isPrewarmError } from '../../src/errors.ts'
import { check } from '../support/property.ts'

/** What Redis would hold, read back: text, or an object of texts. */
export type Held = string | Record<string, string>

export const CONTEXT: EncodeContext = { key: 'film:1', ttlMs: 60_000, nowMs: 1_000 }

export interface CodecCases {
  /** A value and what a reader finds in Redis. */
  examples: readonly (readonly [name: string, value: unknown, held: Held])[]
  refused: readonly (readonly [name: string, value: unknown])[]
  /** What may be found in Redis and is not of this form. */
  undecodable: readonly (readonly [name: string, held: Held])[]
  /** Any value that the codec takes … */
  values: fc.Arbitrary<unknown>
  /** … how another program's reader gets it back … */
  decode: (held: Held) => unknown
  /** … and the form in which both that and the codec itself give it. */
  expected?: (value: unknown) => unknown
}

export function codecContract(codec: Codec, cases: CodecCases) {
  const { examples, refused, undecodable, values, decode, expected = (x) => x } = cases
  describe(`${codec.name} codec`, () => {
    for (const [name, value, held] of examples) {
      it(`encode writes ${name}`, () => assertEquals(heldBy(codec, value), held))
    }

    for (const [name, value] of refused) {
      it(`encode refuses ${name} with VALUE_INVALID`, () => assertInvalid(() => codec.encode(value, CONTEXT)))
    }

    for (const [name, held] of undecodable) {
      it(`decode refuses ${name} with VALUE_INVALID`, () => assertInvalid(() => codec.decode(asHeld(held))))
    }

    it('encode loses nothing: a reader gets back what went in', () => {
      check(fc.property(values, (value) => assertEquals(decode(heldBy(codec, value)), expected(value))))
    })

    it('decode gives back what went in', () => {
      const property = fc.property(values, (value) => {
        assertEquals(codec.decode(asHeld(heldBy(codec, value))), expected(value))
      })
      check(property)
    })

    it('what was decoded and is encoded again is stored as before', () => {
      const property = fc.property(values, (value) => {
        const held = heldBy(codec, value)
        assertEquals(heldBy(codec, codec.decode(asHeld(held))), held)
      })
      check(property)
    })

    it('decode throws nothing but VALUE_INVALID, whatever is stored', () => {
      const stored = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.dictionary(fc.string(), fc.string()))
      const property = fc.property(stored, (held) => {
        try {
          codec.decode(asHeld(held))
        } catch (error) {
          assert(isPrewarmError(error) && error.code === 'VALUE_INVALID', `it threw ${error}`)
        }
      })
      check(property)
    })

    it('encode is pure: it leaves the value alone and gives the same result again', () => {
      const property = fc.property(values, (value) => {
        const before = structuredClone(value)
        const first = codec.encode(value, CONTEXT)
        assertEquals(codec.encode(value, CONTEXT), first)
        assertEquals(value, before)
      })
      check(property)
    })
  })
}

function assertInvalid(act: () => unknown): void {
  const error = assertThrows(act)
  assert(isPrewarmError(error), `it threw ${error}`)
  assertEquals(error.code, 'VALUE_INVALID')
}

function asHeld(held: Held): HeldValue {
  return typeof held === 'string' ? { type: 'string', value: held } : { type: 'hash', fields: held }
}

/** Encodes and lays the result out as Redis would: every part is text. */
function heldBy(codec: Codec, value: unknown): Held {
  const encoded = codec.encode(value, CONTEXT)
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
