import type { webcrypto } from 'node:crypto'
import { PrewarmError } from '../../errors.ts'

export type PublicAlgorithm = 'RS256' | 'ES256' | 'EdDSA'

/** RFC 7518, 3.2: an HMAC key is at least as long as its hash. */
const MIN_SECRET_BYTES = 32
const MIN_RSA_BITS = 2048

/**
 * The key of HS256. Imported here, as hono takes a text with 'PUBLIC' or 'PRIVATE' in it for PEM.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` for one that is missing or shorter than 32 bytes; never tells it
 */
export function secretKey(secret: string | undefined, usage: 'sign' | 'verify'): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret ?? '')
  if (bytes.length < MIN_SECRET_BYTES) {
    throw new PrewarmError(
      'CONFIG_INVALID',
      `control.jwt.secret is ${bytes.length === 0 ? 'missing' : `shorter than ${MIN_SECRET_BYTES} bytes`}: ` +
        `set PREWARM_JWT_SECRET to at least ${MIN_SECRET_BYTES} random bytes, such as \`openssl rand -base64 48\` prints`,
    )
  }
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, [usage])
}

/** What of a JWK says whether it may check tokens of an algorithm, and its public part; the private one is never read. */
const KINDS = {
  RS256: {
    kty: 'RSA',
    crv: undefined,
    members: ['n', 'e'],
    algorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    names: ['RS256'],
  },
  ES256: {
    kty: 'EC',
    crv: 'P-256',
    members: ['crv', 'x', 'y'],
    algorithm: { name: 'ECDSA', namedCurve: 'P-256' },
    names: ['ES256'],
  },
  EdDSA: {
    kty: 'OKP',
    crv: 'Ed25519',
    members: ['crv', 'x'],
    algorithm: { name: 'Ed25519' },
    names: ['EdDSA', 'Ed25519'],
  },
} as const

/** The public key of a JWK; null if it is no key for `algorithm`. Sets hold other keys, too: that is no error. */
export async function publicKey(jwk: unknown, algorithm: PublicAlgorithm): Promise<CryptoKey | null> {
  const { kty, crv, members, algorithm: parameters, names } = KINDS[algorithm]
  if (typeof jwk !== 'object' || jwk === null) return null
  const given = jwk as Record<string, unknown>
  const { alg, use, key_ops: operations, kty: type, crv: curve } = given
  if (type !== kty || (crv !== undefined && curve !== crv)) return null
  if (alg !== undefined && !(names as readonly unknown[]).includes(alg)) return null
  if (use !== undefined && use !== 'sig') return null
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return null
  if (!members.every((name) => typeof given[name] === 'string')) return null
  const clean = { kty, ...Object.fromEntries(members.map((name) => [name, given[name]])) }
  try {
    const key = await crypto.subtle.importKey('jwk', clean as webcrypto.JsonWebKey, parameters, false, ['verify'])
    const { modulusLength } = key.algorithm as { modulusLength?: number }
    return modulusLength !== undefined && modulusLength < MIN_RSA_BITS ? null : key
  } catch {
    return null
  }
}
