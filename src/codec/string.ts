import { PrewarmError } from '../errors.ts'
import type { Codec } from './types.ts'

/** Text as it is; other scalars in their usual text form. */
export const stringCodec: Codec = {
  name: 'string',
  encode(value) {
    if (typeof value === 'string') return { type: 'string', value }
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      return { type: 'string', value: String(value) }
    }
    const shown = value === null || value === undefined ? String(value) : typeof value
    throw new PrewarmError(
      'VALUE_INVALID',
      `Cannot encode string: value is ${shown}, expected text; use value 'json' for objects`,
    )
  },
}
