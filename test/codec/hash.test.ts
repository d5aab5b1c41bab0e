import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { hashCodec } from '../../src/codec/hash.ts'
import { codecFor } from '../../src/codec/index.ts'
import { codecContract } from '../contract/codec.contract.ts'

const cycle: Record<string, unknown> = {}
cycle.self = cycle

codecContract(hashCodec, {
  examples: [
    ['an object field by field', { a: 1, b: 'x', c: true, d: 2n }, { a: '1', b: 'x', c: 'true', d: '2' }],
    ['no null and no undefined', { a: null, b: undefined, c: '' }, { c: '' }],
    ['a date in ISO form', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    ['what is nested as JSON', { a: { b: [1] }, c: [] }, { a: '{"b":[1]}', c: '[]' }],
    ['a flat list as it is', ['a', '1', 'b', ''], { a: '1', b: '' }],
  ],
  refused: [
    ['null', null],
    ['undefined', undefined],
    ['text', 'x'],
    ['a number', 1],
    ['an object without a field', {}],
    ['an object of nulls', { a: null, b: undefined }],
    ['an empty list', []],
    ['a list that ends in a field without a value', ['a', '1', 'b']],
    ['a list of what is not text', ['a', { b: 1 }]],
    ['a cycle', { cycle }],
    ['a date that is none', { at: new Date(Number.NaN) }],
    ['a field whose JSON is nothing', { a: { toJSON: () => undefined } }],
  ],
  undecodable: [['text', '{"a":"1"}']],
  values: fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { minKeys: 1 }),
  decode: (held) => held,
  // Without a prototype in question: `__proto__` is a field like any other.
  expected: (value) => Object.fromEntries(Object.entries(value as object)),
})

describe('codecFor', () => {
  it('codecFor gives each kind of value its codec, and one column as text', () => {
    const forms = ['hash', 'json', 'string', 'keyv', 'bentocache', 'unstorage', 'cachified'] as const
    for (const form of forms) assertEquals(codecFor(form).name, form)
    assertEquals([codecFor('nitro:v1').name, codecFor({ column: 'a' }).name], ['nitro', 'string'])
  })
})
