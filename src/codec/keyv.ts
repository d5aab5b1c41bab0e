import { parsedEntry } from './entry.ts'
import { heldText } from './held.ts'
import { jsonText } from './json.ts'
import type { Codec } from './types.ts'

const BYTES = ':base64:'

/**
 * What Keyv 5 stores, and cache-manager 7 and cacheable 2 through it: `{"value":…,"expires":ms}`. Its JSON marks bytes
 * (`:base64:…`), and text that begins with a colon by another colon; bytes come back as bytes.
 */
export const keyvCodec: Codec = {
  name: 'keyv',
  encode(value, { ttlMs, nowMs }) {
    const text = jsonText(value, 'keyv', marked)
    return { type: 'string', value: `{"value":${text},"expires":${nowMs + ttlMs}}` }
  },
  decode: (held) => parsedEntry(heldText(held, 'keyv'), 'keyv', unmarked).value,
}

function marked(this: Record<string, unknown>, name: string, value: unknown): unknown {
  // A Buffer has become an object by its toJSON already.
  const given = this[name]
  if (given instanceof Uint8Array) return BYTES + given.toBase64()
  return typeof value === 'string' && value.startsWith(':') ? `:${value}` : value
}

function unmarked(_name: string, value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith(':')) return value
  return value.startsWith(BYTES) ? Uint8Array.fromBase64(value.slice(BYTES.length)) : value.slice(1)
}
