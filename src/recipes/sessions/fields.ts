import { PrewarmError } from '../../define.ts'
import { timeMs } from './lookup.ts'

/** A session as it is cached: each field as text, times in Postgres' text form or ISO 8601, one that is null left out. */
export type SessionFields = Readonly<Record<string, string>> & { readonly [field in KnownField]?: string }
type KnownField = 'id' | 'userId' | 'token' | 'expiresAt'

/** A session at its login. More fields are taken as they are; null and undefined are left out. */
export interface NewSession {
  id: string
  userId: string
  /** A Date, or text with its zone. */
  expiresAt: Date | string
  [field: string]: unknown
}

/**
 * @throws {PrewarmError} `VALUE_INVALID` naming the field that is missing or wrong; never its value, which may be secret
 */
export function sessionFields(token: string, session: NewSession): SessionFields {
  const fields: Record<string, string> & { expiresAt?: string } = { token }
  for (const [name, value] of Object.entries(session)) {
    if (name === 'token' && value !== token)
      throw invalid('token is another one than the session is warmed for: leave it out')
    if (value !== null && value !== undefined) fields[name] = fieldText(name, value)
  }
  for (const name of ['id', 'userId'])
    if (fields[name] === undefined || fields[name] === '')
      throw invalid(`${name} is ${fields[name] === '' ? 'empty' : 'missing'}: give the one in the database`)
  if (Number.isNaN(timeMs(fields.expiresAt ?? '')))
    throw invalid('expiresAt is no time: give a Date, or text with its zone, such as 2026-05-31T08:00:00Z')
  return fields
}

/** What a cache gave, if that can be a session at all. */
export function asSession(value: unknown): SessionFields | null {
  const isOne = typeof value === 'object' && value !== null && 'token' in value && 'expiresAt' in value
  return isOne && typeof value.token === 'string' && typeof value.expiresAt === 'string'
    ? (value as SessionFields)
    : null
}

function fieldText(name: string, value: unknown): string {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  throw invalid(`${name} is ${value instanceof Date ? 'no valid date' : typeof value}: give text, a number or a Date`)
}

function invalid(what: string): PrewarmError {
  return new PrewarmError('VALUE_INVALID', `Cannot warm a session: ${what}`)
}
