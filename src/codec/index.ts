import type { ValueSpec } from '../types.ts'
import { hashCodec } from './hash.ts'
import { jsonCodec } from './json.ts'
import { stringCodec } from './string.ts'
import type { Codec } from './types.ts'

/** The codec of a task's `value`. One column is text. */
export function codecFor(value: ValueSpec): Codec {
  if (value === 'hash') return hashCodec
  return value === 'json' ? jsonCodec : stringCodec
}
