import { PrewarmError } from '../errors.ts'
import { parsedEntry } from './entry.ts'
import { heldText } from './held.ts'
import type { Codec } from './types.ts'
import { checkUnstorageKey, unstorageJson } from './unstorage.ts'

/**
 * What a cached function of Nitro 2 stores in unstorage: `{"value":…,"expires":ms,"mtime":ms,"integrity":"…"}`. It serves
 * only entries of its own `integrity`, which by default is a hash of its code: declare one, and give the same here.
 */
export function nitroCodec(integrity: string): Codec {
  return {
    name: 'nitro',
    encode(value, { key, ttlMs, nowMs }) {
      checkUnstorageKey(key, 'nitro')
      const text = unstorageJson(value, 'nitro')
      const rest = `"expires":${nowMs + ttlMs},"mtime":${nowMs},"integrity":${JSON.stringify(integrity)}`
      return { type: 'string', value: `{"value":${text},${rest}}` }
    },
    decode(held) {
      const { integrity: stored, value } = parsedEntry(heldText(held, 'nitro'), 'nitro')
      if (stored === integrity) return value
      throw new PrewarmError('VALUE_INVALID', `Cannot decode nitro: its integrity is not '${integrity}'`)
    },
  }
}
