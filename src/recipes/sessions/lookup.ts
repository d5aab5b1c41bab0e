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
  return sessionKeys(keyPrefix)(token)
}

/** {@linkcode sessionKey} for many tokens. */
export function sessionKeys(keyPrefix = ''): (token: string) => string | null {
  const template = keyTemplate(`${keyPrefix}session:{token_prefix}`)
  return (token) => {
    const token_prefix = tokenPrefix(token)
    return token_prefix.length === token.length ? null : template.format({ token_prefix })
  }
}

/** The first characters of a token, counted as Postgres does; a short one as it is. */
export function tokenPrefix(token: string): string {
  return [...token.slice(0, 2 * TOKEN_PREFIX_LENGTH)].slice(0, TOKEN_PREFIX_LENGTH).join('')
}

/** True if `stored`, the hash found under the key of `token`, is that very token's session and has not expired. */
export function isSession(stored: Readonly<Record<string, string>>, token: string, nowMs = Date.now()): boolean {
  const { token: held, expiresAt } = stored
  if (held === undefined || expiresAt === undefined) return false
  // Equal time for any token, so that nobody can guess it character by character.
  if (!timingSafeEqual(digest(held), digest(token))) return false
  return timeMs(expiresAt) > nowMs
}

/** A time in Postgres' text form, or in ISO 8601, in ms since 1970; NaN if it is neither. */
export function timeMs(text: string): number {
  return text === 'infinity' ? Number.POSITIVE_INFINITY : Date.parse(isoTime(text))
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
