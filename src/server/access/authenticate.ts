import { LRUCache } from 'lru-cache'
import type { Clock } from '../../clock.ts'
import type { JwtSettings } from '../../config/service-settings.ts'
import { MemoryRateCounter } from '../../coordination/memory-rate.ts'
import { PrewarmError } from '../../errors.ts'
import { clientOf } from './address.ts'
import { type Fetch, fetchKeys, KeySet } from './jwks.ts'
import { secretKey } from './keys.ts'
import { type Caller, digest, readToken, refused, verifyToken } from './token.ts'

export interface AuthenticatorOptions {
  jwt: JwtSettings
  clock: Clock
  fetch: Fetch
  readFile: (path: string) => Promise<string>
}

/** Failed attempts of one client that are told why, a minute. */
const FAILURES = { max: 30, windowMs: 60_000 }
/** Signatures of tokens never seen to be good that are looked at for one client, a minute. */
const CHECKS = { max: 600, windowMs: 60_000 }
const MAX_TOLERANCE_MS = 60_000

/**
 * Says who a token's bearer is. What can be seen without cryptography is looked at first; how many signatures a client
 * may have checked is bounded, and tokens once found good are exempt from that, so that nobody is locked out by what
 * others send from his address. These bounds are this process's own: they save its time, and junk costs Redis nothing.
 */
export class Authenticator {
  readonly #jwt: JwtSettings
  readonly #clock: Clock
  readonly #keyOf: (kid: string | undefined) => Promise<CryptoKey | null>
  readonly #failures: MemoryRateCounter
  readonly #checks: MemoryRateCounter
  /** Digests of tokens whose signature was right. */
  readonly #known = new LRUCache<string, true>({ max: 1000 })

  /** @throws {PrewarmError} `CONFIG_INVALID` */
  constructor({ jwt, clock, fetch, readFile }: AuthenticatorOptions) {
    if (!(jwt.clockToleranceMs >= 0 && jwt.clockToleranceMs <= MAX_TOLERANCE_MS)) {
      const message = `control.jwt.clockTolerance is ${jwt.clockToleranceMs}, expected 0 to ${MAX_TOLERANCE_MS} ms`
      throw new PrewarmError('CONFIG_INVALID', message)
    }
    this.#jwt = jwt
    this.#clock = clock
    this.#keyOf = keysOf(jwt, { clock, fetch, readFile })
    this.#failures = new MemoryRateCounter(clock)
    this.#checks = new MemoryRateCounter(clock)
  }

  /** @throws {PrewarmError} `UNAUTHENTICATED`; `RATE_LIMITED` after too many failures; `NOT_READY` without keys */
  async caller(token: string, address: string | null): Promise<Caller> {
    const client = address === null ? 'unknown' : clientOf(address)
    try {
      return await this.#check(token, client)
    } catch (error) {
      if (!(error instanceof PrewarmError) || error.code !== 'UNAUTHENTICATED') throw error
      throw this.failed(error, address)
    }
  }

  /** Counts a failed attempt: the error to answer it with. */
  failed(error: PrewarmError, address: string | null): PrewarmError {
    const client = address === null ? 'unknown' : clientOf(address)
    const { allowed, retryInMs } = this.#failures.takeNow(client, FAILURES)
    return allowed ? error : tooMany(retryInMs)
  }

  async #check(token: string, client: string): Promise<Caller> {
    const candidate = readToken(token, this.#jwt, this.#clock.nowMs())
    const name = digest(token)
    if (!this.#known.has(name)) {
      const { allowed, retryInMs } = this.#checks.takeNow(client, CHECKS)
      if (!allowed) throw tooMany(retryInMs)
    }
    const key = await this.#keyOf(candidate.kid)
    if (key === null) throw refused('is not signed by a key that is known')
    await verifyToken(candidate, key, this.#jwt.algorithm)
    this.#known.set(name, true)
    return candidate.caller
  }
}

/** An error of {@linkcode Authenticator} that says when to come again. */
export class TooManyFailures extends PrewarmError {
  readonly retryInMs: number

  constructor(retryInMs: number) {
    super('RATE_LIMITED', 'Too many attempts from this address without a valid token: try again later')
    this.retryInMs = retryInMs
  }
}

function tooMany(retryInMs: number): TooManyFailures {
  return new TooManyFailures(retryInMs)
}

function keysOf(
  { algorithm, secret, jwksUrl, jwksFile }: JwtSettings,
  { clock, fetch, readFile }: Omit<AuthenticatorOptions, 'jwt'>,
): (kid: string | undefined) => Promise<CryptoKey | null> {
  if (algorithm === 'HS256') {
    const key = secretKey(secret, 'verify')
    return () => key
  }
  if ((jwksUrl === undefined) === (jwksFile === undefined)) {
    const message = `control.jwt has ${jwksUrl === undefined ? 'neither jwksUrl nor' : 'both jwksUrl and'} jwksFile, expected one of them: where the public keys of ${algorithm} are`
    throw new PrewarmError('CONFIG_INVALID', message)
  }
  const read = () => (jwksUrl === undefined ? readFile(jwksFile as string) : fetchKeys(jwksUrl, fetch, clock))
  const keys = new KeySet(read, algorithm, clock)
  return (kid) => keys.find(kid)
}
