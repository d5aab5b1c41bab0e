import { parsedEntry } from './entry.ts'
import { heldText } from './held.ts'
import { jsonText } from './json.ts'
import type { Codec } from './types.ts'

/** What bentocache 1 stores by its Redis driver: `{"value":…,"createdAt":ms,"logicalExpiration":ms}`, without tags and grace. */
export const bentocacheCodec: Codec = {
  name: 'bentocache',
  encode(value, { ttlMs, nowMs }) {
    const text = jsonText(value, 'bentocache')
    return { type: 'string', value: `{"value":${text},"createdAt":${nowMs},"logicalExpiration":${nowMs + ttlMs}}` }
  },
  decode: (held) => parsedEntry(heldText(held, 'bentocache'), 'bentocache').value,
}
