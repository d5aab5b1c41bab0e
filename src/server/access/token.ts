import { createHash } from 'node:crypto'
import { decode, verify } from 'hono/jwt'
import type { JwtSettings } from '../../config/service-settings.ts'
import { PrewarmError } from '../../errors.ts'

export type Scope = 'warm:read' | 'warm:write'

/** Who calls, and what he may do. */
export interface Caller {
  subject: string
  scopes: readonly string[]
  /** When the token stops being good, ms since 1970; absent where none is needed. */
  expiresAtMs?: number
}

/** A token whose words are right, and whose signature nobody has looked at yet. */
export interface Candidate {
  token: string
  kid: string | undefined
  typ: string | undefined
  caller: Caller
}

const MAX_TOKEN_CHARS = 8192
const MAX_SUBJECT_CHARS = 256
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/
/** Of access tokens; a signed statement of another kind is no key to anything. */
const TYPES = ['JWT', 'at+jwt']

type Check = Pick<JwtSettings, 'algorithm' | 'issuer' | 'audience' | 'clockToleranceMs'>

/**
 * Everything about a token but its signature. hono's `verify` would take a token without `exp`, and asks the machine's
 * clock without leeway, so that claims are looked at here.
 *
 * @throws {PrewarmError} `UNAUTHENTICATED`
 */
export function readToken(
  token: string,
  { algorithm, issuer, audience, clockToleranceMs }: Check,
  nowMs: number,
): Candidate {
  if (token.length > MAX_TOKEN_CHARS) throw refused(`is longer than ${MAX_TOKEN_CHARS} bytes`)
  const { header, payload } = parts(token)
  const { alg, kid, typ } = header
  if (alg !== algorithm) throw refused('is not signed by the algorithm that is configured')
  if (kid !== undefined && typeof kid !== 'string') throw refused('is malformed')
  if (typ !== undefined && typeof typ !== 'string') throw refused('is malformed')
  const { exp, nbf, iat, iss, aud, sub } = payload
  if (!isTime(exp)) throw refused('has no expiry time')
  const expiresAtMs = exp * 1000 + clockToleranceMs
  if (expiresAtMs <= nowMs) throw refused('has expired')
  for (const time of [nbf, iat]) {
    if (time === undefined) continue
    if (!isTime(time)) throw refused('is malformed')
    if (time * 1000 - clockToleranceMs > nowMs) throw refused('is not valid yet')
  }
  if (issuer !== undefined && iss !== issuer) throw refused('is of another issuer')
  if (audience !== undefined && !(Array.isArray(aud) ? aud : [aud]).includes(audience)) {
    throw refused('is for another audience')
  }
  if (sub !== undefined && !(typeof sub === 'string' && sub.length <= MAX_SUBJECT_CHARS)) throw refused('is malformed')
  const subject = sub === undefined || sub === '' ? anonymous(token) : sub
  return { token, kid, typ, caller: { subject, scopes: scopesOf(payload), expiresAtMs } }
}

/** @throws {PrewarmError} `UNAUTHENTICATED` if `key` did not sign it */
export async function verifyToken(
  { token, typ }: Candidate,
  key: CryptoKey,
  algorithm: Check['algorithm'],
): Promise<void> {
  const options = { alg: algorithm, exp: false, nbf: false, iat: false, ...(typ === undefined ? {} : { typ: TYPES }) }
  try {
    await verify(token, key, options)
  } catch {
    throw refused('is not signed by a key that is known')
  }
}

/** By what is signed: a signature can be spelled in several ways, and each would be a subject of its own. */
function anonymous(token: string): string {
  return `anonymous-token-${digest(token.slice(0, token.lastIndexOf('.'))).slice(0, 16)}`
}

export function refused(what: string): PrewarmError {
  return new PrewarmError('UNAUTHENTICATED', `The token ${what}`)
}

/** 128 bits of SHA-256, in hex: what a record may be called by whose name nobody should choose. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

type Fields = Record<string, unknown>

function parts(token: string): { header: Fields; payload: Fields } {
  const { header, payload } = SHAPE.test(token) ? safely(() => decode(token)) : { header: null, payload: null }
  if (!isObject(header) || !isObject(payload)) throw refused('is malformed')
  return { header, payload }
}

function safely(read: () => { header: unknown; payload: unknown }): { header: unknown; payload: unknown } {
  try {
    return read()
  } catch {
    throw refused('is malformed')
  }
}

/** `scope` is a text with spaces (RFC 8693); some issuers write `scp` or `scopes`, as text or as a list. */
function scopesOf({ scope, scp, scopes }: Fields): string[] {
  const named = [scope, scp, scopes].flatMap((one) =>
    typeof one === 'string' ? one.split(' ') : Array.isArray(one) ? one : [],
  )
  const found = new Set(named.filter((one) => typeof one === 'string' && one !== ''))
  if (found.has('warm:write')) found.add('warm:read')
  return [...found]
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
