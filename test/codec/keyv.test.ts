import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import Keyv from 'keyv'
import { keyvCodec } from '../../src/codec/keyv.ts'
import { CONTEXT, codecContract } from '../contract/codec.contract.ts'
import { checkAsync } from '../support/property.ts'
import { jsonOf, NO_JSON, NO_TEXT } from './values.ts'

const AT = ',"expires":61000}'

codecContract(keyvCodec, {
  examples: [
    ['an object, and when it expires', { a: 1, b: [null] }, `{"value":{"a":1,"b":[null]}${AT}`],
    ['a date in ISO form', new Date(0), `{"value":"1970-01-01T00:00:00.000Z"${AT}`],
    ['null', null, `{"value":null${AT}`],
    [
      'bytes as marked text',
      { a: Buffer.from('hi'), b: new Uint8Array([1]) },
      `{"value":{"a":":base64:aGk=","b":":base64:AQ=="}${AT}`,
    ],
    [
      'a colon before text that begins with one',
      [':a', ':base64:aGk=', 'a:'],
      `{"value":["::a","::base64:aGk=","a:"]${AT}`,
    ],
    ['what toJSON gives, by the same rules', { toJSON: () => ':a' }, `{"value":"::a"${AT}`],
    ['names of properties as they are', { ':a': 1 }, `{"value":{":a":1}${AT}`],
  ],
  refused: NO_JSON,
  undecodable: [...NO_TEXT, ['what is no base64', '{"value":":base64:?"}']],
  values: fc.oneof(
    jsonOf(fc.string({ unit: 'binary' })),
    jsonOf(fc.string().map((text) => `:${text}`)),
    fc.uint8Array(),
  ),
  decode: (held) => {
    const unmark = (_: string, value: unknown) => {
      if (typeof value !== 'string' || value[0] !== ':') return value
      const bytes = /^:base64:(.*)/s.exec(value)?.[1]
      return bytes === undefined ? value.slice(1) : new Uint8Array(Buffer.from(bytes, 'base64'))
    }
    return JSON.parse(held as string, unmark).value
  },
})

describe('keyv codec and Keyv', () => {
  const nowMs = Date.now()
  const context = { ...CONTEXT, nowMs, ttlMs: 3_600_000 }
  const values = fc.oneof(jsonOf(fc.string()), jsonOf(fc.string().map((text) => `:${text}`)))

  it('Keyv reads what the codec writes, with its time', async () => {
    const property = fc.asyncProperty(values, async (value) => {
      const encoded = keyvCodec.encode(value, context)
      const keyv = new Keyv({ store: new Map([['keyv:film:1', (encoded as { value: string }).value]]) })
      assertEquals(await keyv.get('film:1', { raw: true }), { value, expires: nowMs + 3_600_000 })
    })
    await checkAsync(property)
  })

  it('Keyv reads bytes as bytes', async () => {
    const encoded = keyvCodec.encode({ photo: Buffer.from([0, 255]) }, context)
    const keyv = new Keyv({ store: new Map([['keyv:film:1', (encoded as { value: string }).value]]) })
    assertEquals(await keyv.get('film:1'), { photo: Buffer.from([0, 255]) })
  })

  it('the codec reads what Keyv writes', async () => {
    const property = fc.asyncProperty(values, async (value) => {
      const store = new Map<string, string>()
      await new Keyv({ store }).set('film:1', value, 1000)
      assertEquals(keyvCodec.decode({ type: 'string', value: store.get('keyv:film:1') as string }), value)
    })
    await checkAsync(property)
  })
})
