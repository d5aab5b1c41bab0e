/** `prewarm/hono`: a middleware that answers from the cache. */
import type { Context, MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { CacheFacade, CacheResult, GetOptions } from '../cache/types.ts'
import type { Clock } from '../clock.ts'
import { type Duration, parseDuration } from '../config/duration.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import { bytesOf, isKept, type Kept, keep, pairsOf } from './hono-answer.ts'
import { type Answer, type Behind, behind } from './hono-behind.ts'
import { type KeyOf, keyOf } from './hono-key.ts'
import {
  bypassOf,
  type Cacheable,
  isKnown,
  lifetimeMs,
  mustRevalidate,
  namesOf,
  type Wish,
  wishOf,
} from './hono-rules.ts'

export interface CacheResponsesOptions {
  /** What `createCache` gives. */
  cache: Pick<CacheFacade, 'read'>
  /**
   * A template of route parameters, `{path}`, `{query}` (sorted, '-' if there is none) and `{host}`, such as `'page:{path}:{query}'`;
   * or a function of the context, null: this request is not cached. A request with a query has no key by a template without
   * `{query}`. What the answer depends on must be in the key or in `vary`.
   */
  key: string | KeyOf
  /** How long an answer is fresh; its own `s-maxage` or `max-age` may shorten that. @default the cache's `defaultTtl` */
  ttl?: Duration
  /** How long after that it may be served while one request refreshes it. @default the cache's `grace` */
  grace?: Duration
  /** Tags to invalidate it by. @default [] */
  tags?: readonly string[] | ((c: Context) => readonly string[])
  /** Request headers that answers depend on: each combination has an entry of its own. Handlers see no others. @default [] */
  vary?: readonly string[]
  /** @default [200] */
  cacheableStatusCodes?: readonly number[]
  /** A longer body is passed on as it comes, and not cached. Bytes, from 0. @default 1_000_000 */
  maxBodyBytes?: number
  /** Whether a request's `Cache-Control` counts: `no-cache` then makes a handler run. @default true */
  obeyRequests?: boolean
  /** @default the system's */
  clock?: Pick<Clock, 'nowMs'>
}

/**
 * Answers GET and HEAD from a cache, by the rules of RFC 9111 for one that is shared, and says what it did in `Cache-Status` (RFC
 * 9211): `prewarm; hit; ttl=123; detail=memory`, `prewarm; fwd=miss; stored`. However many ask at once, one handler runs.
 *
 * Not cached: requests with `Authorization` or `Range`; answers with another status, `Set-Cookie`, `Cache-Control: private`,
 * `no-store` or `no-cache`, a `Vary` beyond `vary`, event streams, and whatever a handler threw. Middleware that serves each
 * visitor (authentication, cookies, CORS, logging) belongs before this one, what makes the answer behind it.
 *
 * @throws {PrewarmError} `USAGE`, `KEY_INVALID` for a wrong option
 */
export function cacheResponses(options: CacheResponsesOptions): MiddlewareHandler {
  const { cache, tags, ttl, grace, obeyRequests = true } = options
  checkGiven(options)
  const rules = rulesOf(options)
  const toKey = keyOf(options.key, rules.vary)
  const nowMs = options.clock === undefined ? Date.now : () => (options.clock as Clock).nowMs()
  const kept = { ...(ttl === undefined ? {} : { ttl }), ...(grace === undefined ? {} : { grace }) }

  return async function self(c, next) {
    const wish = wishOf(c.req.raw.headers, obeyRequests)
    const fwd = bypassOf(c.req.raw) ?? (wish.noStore ? 'request' : null)
    const run = fwd === null ? behind(c, self, rules.vary) : null
    const key = run === null ? null : await toKey(c)
    if (run === null || key === null) {
      await next()
      if (!c.req.raw.headers.has('upgrade'))
        c.header('Cache-Status', `prewarm; fwd=${fwd ?? 'bypass'}`, { append: true })
      return
    }
    const names = typeof tags === 'function' ? tags(c) : tags
    const entry = { ...kept, ...(names === undefined ? {} : { tags: names }) }
    return new Visit(c, { cache, key, entry, rules, run, wish, nowMs }).respond()
  }
}

/** @throws {PrewarmError} `USAGE` for what would only show with the first request */
function checkGiven({ cache, key }: CacheResponsesOptions): void {
  if (typeof cache?.read !== 'function')
    throw new PrewarmError('USAGE', `cache is ${cache}, expected what createCache resolves to: await it`)
  if (typeof key === 'string' || typeof key === 'function') return
  throw new PrewarmError(
    'USAGE',
    `key is ${key}, expected a template such as 'page:{path}', or a function of the context`,
  )
}

interface VisitParts {
  cache: Pick<CacheFacade, 'read'>
  key: string
  entry: Pick<GetOptions<Kept>, 'ttl' | 'grace' | 'tags'>
  rules: Cacheable
  run: Behind
  wish: Wish
  nowMs: () => number
}

/** An answer of the handlers, and its cached form if it may be kept. */
type Made = Answer & { kept: Kept | null }

/** One request on its way. */
class Visit {
  readonly #c: Context
  readonly #parts: VisitParts
  /** What this request's own handlers make, once they run. */
  #making: Promise<Made> | undefined
  /** True once the request is answered: what is made now is only for the cache. */
  #isOver = false
  #isUsed = false

  constructor(c: Context, parts: VisitParts) {
    this.#c = c
    this.#parts = parts
  }

  async respond(): Promise<Response> {
    try {
      return await this.#answer()
    } finally {
      this.#isOver = true
      if (!this.#isUsed && this.#making !== undefined) discard(this.#making)
    }
  }

  async #answer(): Promise<Response> {
    const { wish } = this.#parts
    const isRefused = wish.maxAgeMs === 0
    let fwd = isRefused ? 'request' : 'miss'
    let result = await this.#read(isRefused)
    if (!isRefused && result !== null && this.#isTooOld(result)) {
      const old = result.value as Kept
      fwd = this.#ageMs(old) > wish.maxAgeMs ? 'request' : 'stale'
      result = wish.onlyIfCached ? null : await this.#read(true)
      // The handlers failed: what is too old is better than nothing, unless that was ruled out.
      const mayStandIn = fwd === 'stale' && !wish.onlyIfCached && !mustRevalidate(new Headers(pairsOf(old)))
      if (result === null && mayStandIn) return this.#show(old, 'prewarm; fwd=stale', this.#ageMs(old))
    }
    if (result !== null && isKept(result.value)) return this.#fromCache(result as CacheResult<Kept>, fwd)
    if (wish.onlyIfCached) return this.#c.newResponse(null, { status: 504, headers: { 'Cache-Status': 'prewarm' } })
    return this.#own(`prewarm; fwd=${fwd}`)
  }

  /** What others may not have: the request's own handlers answer it, if they have not already. */
  async #own(cacheStatus: string): Promise<Response> {
    this.#making ??= this.#make(this.#c.req.raw.signal)
    this.#isUsed = true
    const { isOuters, error, response, kept } = await this.#making
    if (isOuters === 'error') throw error
    if (isOuters === 'notFound') return marked(await this.#c.notFound(), cacheStatus)
    if (kept !== null) return this.#show(kept, cacheStatus, 0)
    const { body, headers } = response
    return marked(this.#c.newResponse(body, { status: response.status as 200, headers }), cacheStatus)
  }

  /**
   * Null if nothing can be told: the handlers failed, the cache is closed, the key is not one.
   *
   * @throws {PrewarmError} `USAGE` for wrong tags; what a handler threw for another request that this one waited for;
   * `HTTPException` (503) if too many loads are under way
   */
  async #read(fresh: boolean): Promise<CacheResult<Kept> | null> {
    const { cache, key, entry, wish } = this.#parts
    const load = wish.onlyIfCached ? {} : { load: this.#load, fresh, negativeTtl: 0 }
    try {
      return await cache.read<Kept>(key, { ...entry, ...load })
    } catch (error) {
      if (this.#making !== undefined) return null
      if (!isPrewarmError(error) || error.code === 'USAGE') throw error
      if (error.code !== 'RATE_LIMITED') return null
      const headers = { 'Retry-After': '1', 'Cache-Status': 'prewarm; detail=RATE_LIMITED' }
      throw new HTTPException(503, { res: new Response(null, { status: 503, headers }), cause: error })
    }
  }

  #load: NonNullable<GetOptions<Kept>['load']> = async (_key, { signal }) => {
    const making = this.#make(signal)
    if (this.#isOver) discard(making)
    else this.#making = making
    const { kept, error, response } = await making
    if (kept !== null) return kept
    if (error !== undefined) throw error
    // Then an older answer is served, where there is one.
    if (response.status >= 500) throw new PrewarmError('ORIGIN_FAILED', `the handler answered ${response.status}`)
    return undefined
  }

  async #make(signal: AbortSignal): Promise<Made> {
    const answer = await this.#parts.run(signal)
    if (answer.error !== undefined || answer.isOuters !== undefined) return { ...answer, kept: null }
    const kept = await keep(answer.response, this.#parts.rules, this.#parts.nowMs)
    return kept instanceof Response ? { ...answer, response: kept, kept: null } : { ...answer, kept }
  }

  #ageMs({ headers, storedAtMs }: Kept): number {
    const before = Number(headers.find(([name]) => name === 'age')?.[1] ?? 0) * 1000
    return Math.max(0, this.#parts.nowMs() - storedAtMs) + (Number.isFinite(before) ? before : 0)
  }

  #isTooOld({ value, tier, status }: CacheResult<Kept>): boolean {
    if (!isKept(value) || tier === 'origin') return false
    const headers = new Headers(pairsOf(value))
    const ageMs = this.#ageMs(value)
    if (ageMs > this.#parts.wish.maxAgeMs || ageMs >= lifetimeMs(headers)) return true
    return status === 'stale' && mustRevalidate(headers)
  }

  #fromCache({ value, tier, ttlMs }: CacheResult<Kept>, fwd: string): Response {
    const kept = value as Kept
    if (tier === 'origin') {
      const more = `${ttlMs > 0 ? '; stored' : ''}${this.#making === undefined ? '; collapsed' : ''}`
      return this.#show(kept, `prewarm; fwd=${fwd}${more}`, this.#ageMs(kept))
    }
    const left = Math.min(ttlMs, lifetimeMs(new Headers(pairsOf(kept))) - this.#ageMs(kept))
    const ttl = Number.isFinite(left) ? `; ttl=${Math.floor(left / 1000)}` : ''
    return this.#show(kept, `prewarm; hit${ttl}; detail=${tier}`, this.#ageMs(kept))
  }

  #show(kept: Kept, cacheStatus: string, ageMs: number): Response {
    const c = this.#c
    const headers = new Headers(pairsOf(kept))
    headers.delete('age')
    if (ageMs >= 1000 || !cacheStatus.includes('fwd=')) headers.set('age', String(Math.floor(ageMs / 1000)))
    headers.append('cache-status', cacheStatus)
    const { vary } = this.#parts.rules
    if (vary.length > 0) headers.set('vary', [...new Set([...namesOf(headers.get('vary')), ...vary])].join(', '))
    if (kept.status === 200 && isKnown(c.req.raw.headers, headers)) {
      for (const name of ['content-type', 'content-encoding', 'content-language', 'content-range']) headers.delete(name)
      return c.newResponse(null, { status: 304, headers })
    }
    if ([204, 205, 304].includes(kept.status)) return c.newResponse(null, { status: kept.status as 204, headers })
    const bytes = bytesOf(kept)
    headers.set('content-length', String(bytes.byteLength))
    return c.newResponse(bytes, { status: kept.status as 200, headers })
  }
}

/** Nobody reads what was made. */
function discard(making: Promise<Made>): void {
  making.then(({ response }) => response.body?.cancel()).catch(() => {})
}

function marked(response: Response, cacheStatus: string): Response {
  const copy = new Response(response.body, response)
  copy.headers.append('cache-status', cacheStatus)
  return copy
}

function rulesOf({
  vary = [],
  cacheableStatusCodes = [200],
  maxBodyBytes = 1_000_000,
  ...rest
}: CacheResponsesOptions) {
  const names = [...new Set(vary.map((name) => name.toLowerCase()))].sort()
  const wrong = names.find((name) => !/^[!#$%&'+\-.^_`|~0-9a-z]+$/.test(name))
  if (wrong !== undefined) throw new PrewarmError('USAGE', `vary holds '${wrong}', expected names of request headers`)
  const status = cacheableStatusCodes.find((code) => !(Number.isInteger(code) && code >= 200 && code <= 599))
  if (status !== undefined)
    throw new PrewarmError('USAGE', `cacheableStatusCodes holds ${status}, expected numbers from 200 to 599`)
  if (!(Number.isInteger(maxBodyBytes) && maxBodyBytes >= 0))
    throw new PrewarmError('USAGE', `maxBodyBytes is ${maxBodyBytes}, expected a whole number from 0`)
  for (const name of ['ttl', 'grace'] as const) {
    const least = name === 'ttl' ? 1 : 0
    if (rest[name] !== undefined && !((parseDuration(rest[name]) ?? -1) >= least))
      throw new PrewarmError('USAGE', `${name} is '${rest[name]}', expected ms or text such as '5m'`)
  }
  return { statuses: new Set(cacheableStatusCodes), vary: names, maxBodyBytes }
}
