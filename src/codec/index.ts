import type { ValueSpec } from '../types.ts'
import { bentocacheCodec } from './bentocache.ts'
import { cachifiedCodec } from './cachified.ts'
import { hashCodec } from './hash.ts'
import { jsonCodec } from './json.ts'
import { keyvCodec } from './keyv.ts'
import { nitroCodec } from './nitro.ts'
import { stringCodec } from './string.ts'
import type { Codec } from './types.ts'
import { unstorageCodec } from './unstorage.ts'

const CODECS = {
  hash: hashCodec,
  json: jsonCodec,
  string: stringCodec,
  keyv: keyvCodec,
  bentocache: bentocacheCodec,
  unstorage: unstorageCodec,
  cachified: cachifiedCodec,
} as const

/** The codec of a task's `value`. One column is text. */
export function codecFor(value: ValueSpec): Codec {
  if (typeof value === 'object') return stringCodec
  return Object.hasOwn(CODECS, value) ? CODECS[value as keyof typeof CODECS] : nitroCodec(value.slice('nitro:'.length))
}
