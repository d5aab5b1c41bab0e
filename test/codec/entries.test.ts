import { describe, it } from 'node:test'
import { cachified } from '@epic-web/cachified'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { bentocacheCodec } from '../../src/codec/bentocache.ts'
import { cachifiedCodec } from '../../src/codec/cachified.ts'
import { CONTEXT, codecContract } from '../contract/codec.contract.ts'
import { checkAsync } from '../support/property.ts'
import { jsonOf, NO_JSON, NO_TEXT } from './values.ts'

const values = jsonOf(fc.string({ unit: 'binary' }))
const decode = (held: unknown) => JSON.parse(held as string).value

codecContract(bentocacheCodec, {
  examples: [
    ['a value, its birth, its end', { a: 1 }, '{"value":{"a":1},"createdAt":1000,"logicalExpiration":61000}'],
    [
      'a date in ISO form',
      [new Date(0)],
      '{"value":["1970-01-01T00:00:00.000Z"],"createdAt":1000,"logicalExpiration":61000}',
    ],
    ['null', null, '{"value":null,"createdAt":1000,"logicalExpiration":61000}'],
  ],
  refused: NO_JSON,
  undecodable: NO_TEXT,
  values,
  decode,
})

codecContract(cachifiedCodec, {
  examples: [
    ['a value and its metadata', { a: 1 }, '{"value":{"a":1},"metadata":{"ttl":60000,"swr":0,"createdTime":1000}}'],
    ['null', null, '{"value":null,"metadata":{"ttl":60000,"swr":0,"createdTime":1000}}'],
  ],
  refused: NO_JSON,
  undecodable: NO_TEXT,
  values,
  decode,
})

describe('cachified codec and cachified', () => {
  it('cachified takes what the codec writes, without a fresh value', async () => {
    const property = fc.asyncProperty(values, async (value) => {
      const encoded = cachifiedCodec.encode(value, { ...CONTEXT, nowMs: Date.now() })
      const entry = JSON.parse((encoded as { value: string }).value)
      let asked = 0
      const cache = { get: () => entry, set() {}, delete() {} }
      const getFreshValue = () => ++asked
      assertEquals(await cachified({ key: 'film:1', cache, getFreshValue }), value as number)
      assertEquals(asked, 0)
    })
    await checkAsync(property)
  })

  it("cachified asks for a fresh value once the codec's time is over", async () => {
    const encoded = cachifiedCodec.encode('old', { ...CONTEXT, nowMs: Date.now() - CONTEXT.ttlMs - 1 })
    const entry = JSON.parse((encoded as { value: string }).value)
    const cache = { get: () => entry, set() {}, delete() {} }
    assertEquals(await cachified({ key: 'film:1', cache, getFreshValue: () => 'new' }), 'new')
  })
})
