import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { createStorage } from 'unstorage'
import memoryDriver from 'unstorage/drivers/memory'
import { nitroCodec } from '../../src/codec/nitro.ts'
import type { Codec } from '../../src/codec/types.ts'
import { unstorageCodec } from '../../src/codec/unstorage.ts'
import { isPrewarmError } from '../../src/errors.ts'
import { CONTEXT, codecContract } from '../contract/codec.contract.ts'
import { checkAsync } from '../support/property.ts'
import { jsonOf, NO_JSON, NO_TEXT } from './values.ts'

/** Texts that a reader could take for something else. */
const AMBIGUOUS = [
  'true',
  ' NULL ',
  'nan',
  '-infinity',
  'undefined',
  '1',
  ' 007 ',
  '1e5',
  '{',
  '[1]',
  '"',
  '""',
  '"a"',
  '"\\"',
]
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(...AMBIGUOUS),
  fc.string().map((text) => `"${text}"`),
)
const numbers = fc.double({ noNaN: true }).map((given) => given + 0)
const nitro = nitroCodec('v"1')
const AT = ',"expires":61000,"mtime":1000,"integrity":"v\\"1"}'
const DROPPED: [string, unknown][] = [
  ['__proto__', JSON.parse('{"a":[{"__proto__":1}]}')],
  ['constructor with a prototype', { constructor: { prototype: 1 } }],
]

codecContract(unstorageCodec, {
  examples: [
    ['text as it is', 'a b', 'a b'],
    ['empty text', '', ''],
    ['text that looks like something else as JSON text', '12', '"12"'],
    ['text in quotes as JSON text', '"a"', '"\\"a\\""'],
    ['a number', 1.5, '1.5'],
    ['a number of many digits so that it is read as one', 2 ** 60, '1.152921504606847e+18'],
    ['no number', Number.NaN, 'NaN'],
    ['a boolean', false, 'false'],
    ['an object as JSON', { a: [1, null] }, '{"a":[1,null]}'],
    ['a date in ISO form', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    ['a property named constructor', { constructor: 'x' }, '{"constructor":"x"}'],
  ],
  refused: [...NO_JSON, ...DROPPED, ['null', null], ['a date that is none', new Date(Number.NaN)]],
  undecodable: [['a hash', { a: '1' }]],
  values: fc.oneof(
    texts,
    numbers,
    jsonOf(texts).filter((value) => value !== null),
  ),
  decode: (held) => readBack(held as string),
})

codecContract(nitro, {
  examples: [
    ['a value and what it is judged by', { a: 1 }, `{"value":{"a":1}${AT}`],
    ['null', null, `{"value":null${AT}`],
    ['text as JSON text', '12', `{"value":"12"${AT}`],
  ],
  refused: [...NO_JSON, ...DROPPED],
  undecodable: [
    ...NO_TEXT,
    ['an entry of another integrity', '{"value":1,"integrity":"v2"}'],
    ['an entry without one', '{"value":1}'],
  ],
  values: jsonOf(texts),
  decode: (held) => JSON.parse(held as string).value,
})

describe('unstorage codec and unstorage', () => {
  const values = fc.oneof(
    texts,
    numbers,
    fc.constant(Number.NaN),
    jsonOf(texts).filter((value) => value !== null),
  )

  it('unstorage reads what the codecs write', async () => {
    const property = fc.asyncProperty(values, async (value) => {
      assertEquals(await readWith(unstorageCodec, value), value)
      if (Number.isFinite(value) || typeof value !== 'number') {
        assertEquals(await readWith(nitro, value), { value, expires: 61_000, mtime: 1000, integrity: 'v"1' })
      }
    })
    await checkAsync(property, 500)
  })

  it('the codec reads what unstorage writes as unstorage itself does', async () => {
    const property = fc.asyncProperty(values, async (value) => {
      const driver = memoryDriver()
      const storage = createStorage({ driver })
      await storage.setItem('film:1', value as string)
      const stored = (await driver.getItem('film:1')) as string
      const read = unstorageCodec.decode({ type: 'string', value: stored })
      // For unstorage, text such as 'undefined' is nothing.
      assertEquals(read ?? null, (await storage.getItem('film:1')) ?? null)
    })
    await checkAsync(property, 500)
  })

  it('a key that unstorage would look for under another name is refused, and no other', async () => {
    const parts = fc.array(fc.constantFrom('a', 'b', ':', '/', '\\', '?', '.', '..', '-', '%3A'), {
      minLength: 1,
      maxLength: 6,
    })
    const property = fc.asyncProperty(parts, async (given) => {
      const key = given.join('')
      const finds = await findsUnder(key)
      for (const codec of [unstorageCodec, nitro]) {
        if (finds) codec.encode('film', { ...CONTEXT, key })
        else {
          const error = assertThrows(() => codec.encode('film', { ...CONTEXT, key }))
          assert(isPrewarmError(error), `it threw ${error}`)
          assertEquals(error.code, 'KEY_INVALID')
        }
      }
    })
    await checkAsync(property, 1000)
  })
})

/** By JSON alone, where the text is JSON; else the text. */
function readBack(text: string): unknown {
  const words: Record<string, number> = {
    NaN: Number.NaN,
    Infinity: Number.POSITIVE_INFINITY,
    '-Infinity': Number.NEGATIVE_INFINITY,
  }
  if (Object.hasOwn(words, text)) return words[text]
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The value as `getItem` gives it, from what Redis would hold. */
async function readWith(codec: Codec, value: unknown): Promise<unknown> {
  const driver = memoryDriver()
  driver.setItem?.('film:1', (codec.encode(value, CONTEXT) as { value: string }).value, {})
  return await createStorage({ driver }).getItem('film:1')
}

/** Whether `getItem` finds something that lies under `key` itself. */
async function findsUnder(key: string): Promise<boolean> {
  const driver = memoryDriver()
  driver.setItem?.(key, 'there', {})
  return (
    (await createStorage({ driver })
      .getItem(key)
      .catch(() => null)) === 'there'
  )
}
