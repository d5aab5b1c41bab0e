/** An app with the routes that access is about, and tokens for it. */
import { Hono } from 'hono'
import { sign } from 'hono/jwt'
import type { ControlSettings, JwtSettings } from '../../src/config/service-settings.ts'
import { MemoryRateCounter } from '../../src/coordination/memory-rate.ts'
import { isPrewarmError } from '../../src/errors.ts'
import { type AccessOptions, type ControlEnv, createAccess } from '../../src/server/access/index.ts'
import { FakeClock } from '../fakes/clock.ts'

export const SECRET = 'a secret of the tests, 32 bytes or longer'
export const NOW_S = 1_700_000_000

const STATUS: Record<string, number> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, RATE_LIMITED: 429, NOT_READY: 503 }

export function jwtSettings(changes: Partial<JwtSettings> = {}): JwtSettings {
  return {
    algorithm: 'HS256',
    secret: SECRET,
    jwksUrl: undefined,
    jwksFile: undefined,
    issuer: undefined,
    audience: undefined,
    clockToleranceMs: 5000,
    ...changes,
  }
}

export interface AppOptions extends Partial<Omit<AccessOptions, 'settings'>> {
  settings?: Partial<ControlSettings>
}

/** Called from 127.0.0.1 unless `peerAddress` says otherwise; with tokens unless `settings.jwt` says otherwise. */
export function appWith({ settings, ...options }: AppOptions = {}) {
  const clock = (options.clock ?? new FakeClock()) as FakeClock
  const access = createAccess({
    settings: {
      jwt: jwtSettings(),
      trustedProxies: [],
      corsOrigins: [],
      rateLimits: { status: 5, warm: 2, clear: 2, other: 120 },
      ...settings,
    },
    counter: new MemoryRateCounter(clock),
    peerAddress: () => '127.0.0.1',
    ...options,
    clock,
  })
  const app = new Hono<ControlEnv>()
  app.onError((error, c) => {
    const code = isPrewarmError(error) ? error.code : 'INTERNAL'
    return c.json({ code, detail: error.message }, (STATUS[code] ?? 500) as 500)
  })
  app.use('*', access.guard)
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/page', (c) => c.html('<p>', 200, { 'content-security-policy': "default-src 'self'" }))
  app.get('/warm/status', access.needs('warm:read'), access.limits('status'), (c) =>
    c.json({ subject: c.get('subject'), scopes: c.get('scopes') }),
  )
  app.get('/warm/until', access.needs('warm:read'), (c) => c.json({ until: c.get('expiresAtMs') ?? null }))
  app.get('/warm/jobs', access.needs('warm:read'), access.limits('other'), (c) => c.json({}))
  for (const way of ['run', 'key', 'pattern', 'trigger-predictive'])
    app.post(`/warm/${way}`, access.needs('warm:write'), access.limits('warm'), (c) => c.json({}))
  app.post('/warm/stop', access.needs('warm:write'), (c) => c.json({}))
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const answer = await app.request(`http://localhost${path}`, { method, headers })
    // biome-ignore lint/suspicious/noExplicitAny: each route's answer is its own
    const body: any = answer.status === 204 ? null : await answer.json().catch(() => null)
    return { status: answer.status, headers: answer.headers, body }
  }
  return { app, clock, ask }
}

export function withJwt(changes: Partial<JwtSettings>): AppOptions {
  return { settings: { jwt: jwtSettings(changes) } }
}

/** How a call with this token is answered. */
export async function statusOf(token: string, options: AppOptions = {}): Promise<number> {
  return (await appWith(options).ask('/warm/status', bearer(token))).status
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

export const CLAIMS = { sub: 'deploy', scope: 'warm:write', iat: NOW_S, exp: NOW_S + 3600 }

export async function hmac(secret = SECRET): Promise<CryptoKey> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  return crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, ['sign'])
}

/** A good token of HS256, but for what is changed. */
export async function tokenWith(changes: Record<string, unknown> = {}, secret = SECRET): Promise<string> {
  return sign({ ...CLAIMS, ...changes }, await hmac(secret), 'HS256')
}

export function part(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** A token with any header, signed by `key` as WebCrypto does for `algorithm`. */
export async function signed(
  header: object,
  claims: unknown,
  key: CryptoKey,
  algorithm: AlgorithmIdentifier | EcdsaParams,
): Promise<string> {
  const text = `${part(header)}.${part(claims)}`
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(text)))
  const encoded = btoa(String.fromCharCode(...signature))
  return `${text}.${encoded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`
}

/** How WebCrypto makes and uses the key pairs of each algorithm. */
export const PAIRS = {
  RS256: {
    make: {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    use: 'RSASSA-PKCS1-v1_5',
  },
  ES256: { make: { name: 'ECDSA', namedCurve: 'P-256' }, use: { name: 'ECDSA', hash: 'SHA-256' } },
  EdDSA: { make: { name: 'Ed25519' }, use: 'Ed25519' },
} as const

/** A key pair: its public half as a JWK, and tokens by its private half. */
export async function signerOf(algorithm: keyof typeof PAIRS, kid = 'k1') {
  const { make, use } = PAIRS[algorithm]
  const pair = (await crypto.subtle.generateKey(make, true, ['sign', 'verify'])) as CryptoKeyPair
  const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const jwk = Object.fromEntries(
    Object.entries({ kty, n, e, crv, x, y, kid, alg: algorithm, use: 'sig' }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as Record<string, string>
  return {
    pair,
    jwk,
    token: (claims: object = {}, header: object = {}) =>
      signed({ alg: algorithm, typ: 'JWT', kid, ...header }, { ...CLAIMS, ...claims }, pair.privateKey, use),
  }
}

/** Settings of a public-key algorithm whose set is these keys. */
export function keySet(algorithm: keyof typeof PAIRS, keys: unknown[], changes: Partial<JwtSettings> = {}): AppOptions {
  return {
    settings: { jwt: jwtSettings({ algorithm, secret: undefined, jwksFile: '/keys.json', ...changes }) },
    readFile: async () => JSON.stringify({ keys }),
  }
}
