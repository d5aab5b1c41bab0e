import { parsedEntry } from './entry.ts'
import { heldText } from './held.ts'
import { jsonText } from './json.ts'
import type { Codec } from './types.ts'

/**
 * What cachified 5 stores through `cachified-redis-adapter`, or any adapter that keeps the entry as JSON text:
 * `{"value":…,"metadata":{"ttl":ms,"swr":0,"createdTime":ms}}`.
 */
export const cachifiedCodec: Codec = {
  name: 'cachified',
  encode(value, { ttlMs, nowMs }) {
    const metadata = `{"ttl":${ttlMs},"swr":0,"createdTime":${nowMs}}`
    return { type: 'string', value: `{"value":${jsonText(value, 'cachified')},"metadata":${metadata}}` }
  },
  decode: (held) => parsedEntry(heldText(held, 'cachified'), 'cachified').value,
}
