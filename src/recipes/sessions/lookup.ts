import { createHash, timingSafeEqual } from 'node:crypto'
import { keyTemplate } from '../../define.ts'

/** Characters of a token that are its session's key. */
export const TOKEN_PREFIX_LENGTH = 16

/**
 * The key of the session that bears `token`, or null for a token too short to have one.
 *
 * @param keyPrefix as given to `sessionTasks`
 */
export function sessionKey(token: string, keyPrefix = ''): string | null {
  const characters = [...token] // as Postgres counts them
  if (characters.length <= TOKEN_PREFIX_LENGTH) return null
  const token_prefix = characters.slice(0, TOKEN_PREFIX_LENGTH).join('')
  return keyTemplate(`${keyPrefix}session:{token_prefix}`).format({ token_prefix })
}

/** True if `stored`, the hash found under the key of `token`, is that very token's session and has not expired. */
export function isSession(stored: Readonly<Record<string, string>>, token: string, nowMs = Date.now()): boolean {
  if (stored.token === undefined || stored.expiresAt === undefined) return false
  // Equal time for any token, so that nobody can guess it character by character.
  if (!timingSafeEqual(digest(stored.token), digest(token))) return false
  if (stored.expiresAt === 'infinity') return true
  return Date.parse(isoTime(stored.expiresAt)) > nowMs
}

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}

/** `2026-05-31 08:00:00.123456+02` -> `2026-05-31T08:00:00.123+02:00`. */
function isoTime(text: string): string {
  return text
    .replace(' ', 'T')
    .replace(/(\.\d{3})\d+/, '$1')
    .replace(/([+-]\d{2})$/, '$1:00')
}
