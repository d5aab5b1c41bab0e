import { readFile } from 'node:fs/promises'
import type { Context, MiddlewareHandler } from 'hono'
import type { Clock } from '../../clock.ts'
import type { ControlSettings } from '../../config/service-settings.ts'
import type { RateCounter } from '../../coordination/types.ts'
import { PrewarmError } from '../../errors.ts'
import { addressMatcher, addressOf, clientAddress, clientOf, isLoopback, socketAddress } from './address.ts'
import { Authenticator, TooManyFailures } from './authenticate.ts'
import { crossOrigin, safeHeaders } from './headers.ts'
import type { Fetch } from './jwks.ts'
import { type Bucket, rateLimit, retryAfter } from './limits.ts'
import { assertMayListen, requireLocal } from './local.ts'
import type { Caller, Scope } from './token.ts'

export { assertMayListen, type Bucket, type Scope }

/** What middleware tells the routes. */
export type ControlEnv = {
  Variables: {
    /** Who calls: the token's `sub`, or `address:` and the client's address where no tokens are configured. */
    subject: string
    scopes: readonly string[]
    /** When the token stops being good, ms since 1970; undefined where no tokens are configured. */
    expiresAtMs: number | undefined
    traceId: string
    parentSpanId: string | undefined
  }
}

/** Who may call, how often, and what a browser may do with the answers. Each throws `PrewarmError`s. */
export interface Access {
  /** For every route, first: headers that keep browsers in check, and CORS if configured. Lets everybody in. */
  guard: MiddlewareHandler<ControlEnv>
  /**
   * For each route that not everybody may call: a valid token with this scope, or, where no tokens are configured, a
   * caller on this machine. `UNAUTHENTICATED`, `FORBIDDEN`, and `RATE_LIMITED` after too many failures.
   */
  needs(scope: Scope): MiddlewareHandler<ControlEnv>
  /** After `needs`: requests a minute of one subject. `RATE_LIMITED`, with `Retry-After`. */
  limits(bucket: Bucket): MiddlewareHandler<ControlEnv>
}

export interface AccessOptions {
  settings: Pick<ControlSettings, 'jwt' | 'trustedProxies' | 'corsOrigins' | 'rateLimits'>
  /** Shared by all instances: see `sharedRateCounter`. */
  counter: RateCounter
  clock: Clock
  /** The address of the socket that a request came from; null if that can't be told. @default what Bun's or Deno's server says */
  peerAddress?: (c: Context) => string | null
  /** For the keys at `jwksUrl`. @default the runtime's */
  fetch?: Fetch
  /** For `jwksFile`. @default node:fs */
  readFile?: (path: string) => Promise<string>
}

const EVERYTHING = ['warm:read', 'warm:write'] as const

/** @throws {PrewarmError} `CONFIG_INVALID` for a key that is missing or too short, or a proxy that is no address */
export function createAccess({
  settings: { jwt, trustedProxies, corsOrigins, rateLimits },
  counter,
  clock,
  peerAddress = (c) => socketAddress(c.env, c.req.raw),
  fetch = (url, init) => globalThis.fetch(url, init),
  readFile: read = (path) => readFile(path, 'utf8'),
}: AccessOptions): Access {
  const isTrusted = addressMatcher(trustedProxies)
  const authenticator = jwt === undefined ? undefined : new Authenticator({ jwt, clock, fetch, readFile: read })
  const peerOf = (c: Context) => addressOf(peerAddress(c) ?? '')
  const addressFor = (c: Context) => {
    const peer = peerOf(c)
    return peer === null ? null : clientAddress(peer, c.req.header('x-forwarded-for'), isTrusted)
  }
  const countedAs = (c: Context) => {
    const subject: string | undefined = authenticator === undefined ? undefined : c.get('subject')
    return subject === undefined ? `address:${clientOf(addressFor(c) ?? 'unknown')}` : `subject:${subject}`
  }
  const isSecure = (c: Context) => {
    if (c.req.url.startsWith('https:')) return true
    const peer = peerOf(c)
    return peer !== null && isTrusted(peer) && c.req.header('x-forwarded-proto') === 'https'
  }
  const headers = safeHeaders(isSecure)
  const cors = corsOrigins.length === 0 ? undefined : crossOrigin(corsOrigins)

  /** @throws as {@linkcode Access.needs} */
  const identify = async (c: Context): Promise<Caller> => {
    const address = addressFor(c)
    if (authenticator === undefined) {
      const peer = peerOf(c)
      requireLocal(c, peer === null || isLoopback(peer) ? address : peer, corsOrigins)
      return { subject: `address:${address}`, scopes: EVERYTHING }
    }
    const token = bearer(c)
    if (token === null) {
      throw authenticator.failed(new PrewarmError('UNAUTHENTICATED', 'Send a token: Authorization: Bearer …'), address)
    }
    return authenticator.caller(token, address)
  }

  return {
    guard: async (c, next) => {
      await headers(c, async () => {
        // A preflight request is answered there and then.
        const answer = await (cors ?? withoutCors)(c, next)
        if (answer instanceof Response) c.res = answer
      })
    },

    needs: (scope) => async (c, next) => {
      let caller: Caller
      try {
        caller = await identify(c)
      } catch (error) {
        challenge(c, error)
        throw error
      }
      c.set('subject', caller.subject)
      c.set('scopes', caller.scopes)
      c.set('expiresAtMs', caller.expiresAtMs)
      if (!caller.scopes.includes(scope)) {
        c.res.headers.set('www-authenticate', `Bearer realm="prewarm", error="insufficient_scope", scope="${scope}"`)
        throw new PrewarmError('FORBIDDEN', `The token lacks the scope ${scope}`)
      }
      await next()
    },

    limits: (bucket) => rateLimit(bucket, rateLimits[bucket], counter, countedAs),
  }
}

const withoutCors: MiddlewareHandler = (_, next) => next()

/** RFC 6750, 2.1: only the Authorization header is looked at. Null: there is no token in it. */
function bearer(c: Context): string | null {
  return /^Bearer +([^ ]+) *$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? null
}

/** RFC 6750, 3: who sent no token learns only that one is wanted. */
function challenge(c: Context, error: unknown): void {
  if (error instanceof TooManyFailures) c.res.headers.set('retry-after', retryAfter(error.retryInMs))
  if (!(error instanceof PrewarmError) || error.code !== 'UNAUTHENTICATED') return
  const reason = bearer(c) === null ? '' : `, error="invalid_token", error_description="${error.message}"`
  c.res.headers.set('www-authenticate', `Bearer realm="prewarm"${reason}`)
}
