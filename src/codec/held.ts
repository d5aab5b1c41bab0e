import type { HeldValue } from '../cache/tier.ts'
import { PrewarmError } from '../errors.ts'

/** The text that is held. @throws {PrewarmError} `VALUE_INVALID` for a hash */
export function heldText(held: HeldValue, form: string): string {
  if (held.type === 'string') return held.value
  throw new PrewarmError('VALUE_INVALID', `Cannot decode ${form}: a hash is stored, expected text`)
}
