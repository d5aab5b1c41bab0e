import fc from 'fast-check'
import { jsonCodec } from '../../src/codec/json.ts'
import { codecContract } from '../contract/codec.contract.ts'

const cycle: Record<string, unknown> = {}
cycle.self = cycle

codecContract(jsonCodec, {
  examples: [
    ['an object', { a: 1, b: [null, 'x'] }, '{"a":1,"b":[null,"x"]}'],
    ['a date in ISO form', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    ['null', null, 'null'],
    ['empty text', '', '""'],
    ['no property that is undefined', { a: undefined }, '{}'],
  ],
  refused: [
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a bigint', { a: 1n }],
    ['a cycle', cycle],
    [
      'a value whose toJSON throws',
      {
        toJSON() {
          throw new Error('no')
        },
      },
    ],
  ],
  undecodable: [
    ['a hash', { a: '1' }],
    ['empty text', ''],
    ['half of a value', '{"a":'],
  ],
  values: fc.jsonValue(),
  decode: (held) => JSON.parse(held as string),
  expected: (value) => JSON.parse(JSON.stringify(value)),
})
