import { PrewarmError } from '../errors.ts'
import { heldText } from './held.ts'
import type { Codec } from './types.ts'

/** Text as it is; other scalars in their usual text form, and as that text they come back. */
export const stringCodec: Codec = {
  name: 'string',
  encode(value) {
    if (typeof value === 'string') return { type: 'string', value }
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      return { type: 'string', value: String(value) }
    }
    if (value === null || value === undefined) {
      throw new PrewarmError(
        'VALUE_INVALID',
        `Cannot encode string: value is ${value}; leave such rows out of the query`,
      )
    }
    const shown = typeof value
    throw new PrewarmError(
      'VALUE_INVALID',
      `Cannot encode string: value is ${shown}, expected text; use value 'json' for objects`,
    )
  },
  decode: (held) => heldText(held, 'string'),
}
