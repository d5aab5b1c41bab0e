import { PrewarmError } from '../errors.ts'
import { heldText } from './held.ts'
import type { Codec } from './types.ts'

/** `JSON.stringify`: dates in ISO form; a bigint, a cycle or a function alone can't be encoded. */
export const jsonCodec: Codec = {
  name: 'json',
  encode: (value) => ({ type: 'string', value: jsonText(value, 'JSON') }),
  decode: (held) => parsedJson(heldText(held, 'JSON'), 'JSON'),
}

/** @throws {PrewarmError} `VALUE_INVALID`, naming `form` */
export function jsonText(
  value: unknown,
  form: string,
  replacer?: (this: Record<string, unknown>, name: string, value: unknown) => unknown,
): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value, replacer)
  } catch (error) {
    throw new PrewarmError('VALUE_INVALID', `Cannot encode ${form}: ${(error as Error).message.split('\n')[0]}`, {
      cause: error,
    })
  }
  if (text === undefined) throw new PrewarmError('VALUE_INVALID', `Cannot encode ${form}: value is ${typeof value}`)
  return text
}

/** @throws {PrewarmError} `VALUE_INVALID`, naming `form`; the text itself is not told */
export function parsedJson(text: string, form: string, reviver?: (name: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch {
    throw new PrewarmError('VALUE_INVALID', `Cannot decode ${form}: what is stored is no such JSON`)
  }
}
