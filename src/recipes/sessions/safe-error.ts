import { isPrewarmError, PrewarmError } from '../../define.ts'
import { redact } from '../../errors.ts'
import { sessionKey, tokenPrefix } from './lookup.ts'

/**
 * `error` without the token, or its first characters, in any part of it, and without passwords in URLs. A driver's error
 * carries the parameters of its query, and these can't be taken from it: then a copy is returned, without them.
 */
export function withoutToken(error: unknown, token: string): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? masked(error, token) : error
  const message = masked(error.message, token)
  if (isPrewarmError(error)) {
    if (message === error.message && error.cause === undefined) return error
    return new PrewarmError(error.code, message, {
      detail: error.detail === undefined ? undefined : masked(error.detail, token),
    })
  }
  const copy = new Error(message)
  copy.name = error.name
  copy.stack = masked(error.stack ?? '', token)
  for (const [name, value] of Object.entries(error)) {
    if (typeof value === 'string') Object.assign(copy, { [name]: masked(value, token) })
    else if (typeof value === 'number' || typeof value === 'boolean') Object.assign(copy, { [name]: value })
  }
  return copy
}

function masked(text: string, token: string): string {
  const key = sessionKey(token)?.slice('session:'.length)
  return [token, tokenPrefix(token), key]
    .filter((secret) => secret !== undefined && secret !== '')
    .reduce<string>((left, secret) => left.replaceAll(secret as string, '***'), redact(text))
}
