import { PrewarmError } from '../errors.ts'
import type { Codec } from './types.ts'

/** `JSON.stringify`: dates in ISO form; a bigint, a cycle or a function alone can't be encoded. */
export const jsonCodec: Codec = {
  name: 'json',
  encode(value) {
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (error) {
      throw new PrewarmError('VALUE_INVALID', `Cannot encode JSON: ${(error as Error).message.split('\n')[0]}`, {
        cause: error,
      })
    }
    if (text === undefined) throw new PrewarmError('VALUE_INVALID', `Cannot encode JSON: value is ${typeof value}`)
    return { type: 'string', value: text }
  },
}
