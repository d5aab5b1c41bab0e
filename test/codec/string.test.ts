import fc from 'fast-check'
import { stringCodec } from '../../src/codec/string.ts'
import { codecContract } from '../contract/codec.contract.ts'

codecContract(stringCodec, {
  examples: [
    ['text as it is', 'a\r\nb\u0000 é😀', 'a\r\nb\u0000 é😀'],
    ['empty text', '', ''],
    ['a number', 1.5, '1.5'],
    ['a bigint', 12345678901234567890n, '12345678901234567890'],
    ['a boolean', false, 'false'],
  ],
  refused: [
    ['null', null],
    ['undefined', undefined],
    ['an object', { a: 1 }],
    ['a list', ['a']],
    ['a function', () => 'x'],
    ['a symbol', Symbol('x')],
  ],
  undecodable: [['a hash', { a: '1' }]],
  values: fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.bigInt(), fc.boolean()),
  decode: (held) => held,
  expected: String,
})
