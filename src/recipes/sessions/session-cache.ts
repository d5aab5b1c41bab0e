import { createHash } from 'node:crypto'
import { getLogger } from '@logtape/logtape'
import { LRUCache } from 'lru-cache'
import { isPrewarmError } from '../../define.ts'
import { durationMs } from '../duration.ts'
import { type Query, type Row, runQuery } from '../query.ts'
import { asSession, type SessionFields, sessionFields } from './fields.ts'
import { isSession, sessionKeys, timeMs } from './lookup.ts'
import { withoutToken } from './safe-error.ts'
import { endSession, sessionByToken } from './session-query.ts'
import type { SessionCache, SessionCacheOptions, SessionLogLine } from './types.ts'

/** Tokens that this process remembers as nobody's, and as revoked by itself, each. About 1 MB. */
const REMEMBERED = 10_000

const NEVER = new AbortController().signal

interface Found {
  session: SessionFields | null
  hit: boolean
}

/**
 * Session validation that the cache makes fast and the database keeps right.
 *
 * Two tokens may share a key, their first 16 characters: what is found there counts only if it holds the whole token. If not,
 * the database is asked for the whole token, and its answer is not cached. That a token is nobody's is remembered by its
 * digest, in this process only, and only asked after the cache: so nobody's guess locks another out, and a login is never refused.
 *
 * @throws {RangeError} on an option out of bounds
 */
export function createSessionCache(options: SessionCacheOptions): SessionCache {
  const { cache, sql, schema = 'platform', keyPrefix = '', log = getLogger(['prewarm', 'sessions']) } = options
  const ttlMs = durationMs('ttl', options.ttl ?? '5m', 1)
  const negativeMs = durationMs('negativeTtl', options.negativeTtl ?? '10s', 0)
  const timeoutMs = durationMs('queryTimeout', options.queryTimeout ?? '5s', 1)
  const clock = options.clock ?? { nowMs: () => Date.now(), nowNs: () => performance.now() * 1e6 }
  const keyOf = sessionKeys(keyPrefix)
  const unknown = new LRUCache<string, true>({
    max: REMEMBERED,
    ttl: Math.max(1, negativeMs),
    ttlResolution: 0,
    perf: { now: () => clock.nowMs() },
  })
  const revoked = new LRUCache<string, true>({ max: REMEMBERED })
  const asking = new Map<string, Promise<SessionFields | null>>()
  let logins = 0

  const isRevoked = (token: string) => revoked.size > 0 && revoked.has(digestOf(token))

  async function run(token: string, query: Query): Promise<readonly Row[]> {
    try {
      return await runQuery(sql, query, { timeoutMs, signal: NEVER })
    } catch (error) {
      throw withoutToken(error, token)
    }
  }

  /** Readers of one token at the same time share one query. */
  function fromDatabase(token: string): Promise<SessionFields | null> {
    const digest = digestOf(token)
    const asked = asking.get(digest) ?? ask(token, digest).finally(() => asking.delete(digest))
    asking.set(digest, asked)
    return asked
  }

  async function ask(token: string, digest: string): Promise<SessionFields | null> {
    if (unknown.has(digest)) return null
    const before = logins
    const [row] = await run(token, sessionByToken(token, schema))
    if (row !== undefined) return presentFields(row)
    if (negativeMs > 0 && before === logins) unknown.set(digest, true)
    return null
  }

  async function find(token: string): Promise<Found> {
    if (!isStorable(token) || isRevoked(token)) return { session: null, hit: false }
    const key = keyOf(token)
    if (key === null) return { session: await fromDatabase(token), hit: false }
    let own: Promise<SessionFields | null> | undefined
    try {
      const { value, status } = await cache.read(key, {
        ttl: ttlMs,
        negativeTtl: 0, // of this key: another token may have it, too
        load: () => {
          own = fromDatabase(token)
          return own
        },
      })
      const session = asSession(value)
      if (session !== null && isSession(session, token, clock.nowMs())) return { session, hit: status !== 'miss' }
    } catch {
      // Our own load, which is awaited below; the cache itself; or the load of another reader, which says nothing of ours.
    }
    return { session: await (own ?? fromDatabase(token)), hit: false }
  }

  function tell(
    operation: SessionLogLine['operation'],
    startNs: number,
    of: Row | null | undefined,
    hit = false,
  ): void {
    log.info('session {operation}', {
      operation,
      cache_hit: hit,
      duration_ms: Math.round((clock.nowNs() - startNs) / 1000) / 1000,
      user_id: of?.userId ?? null,
      session_id: of?.id ?? null,
    })
  }

  return {
    async validateSession(token) {
      const startNs = clock.nowNs()
      const { session: found, hit } = await find(token)
      // Once more: it may have been revoked while we were reading.
      const session = found !== null && isRevoked(token) ? null : found
      tell('validate', startNs, session, hit && session !== null)
      return session
    },

    async warmSession(token, session) {
      const startNs = clock.nowNs()
      const fields = sessionFields(token, session)
      if (!isStorable(token)) return 'not_cached'
      logins++
      unknown.delete(digestOf(token))
      const key = keyOf(token)
      const leftMs = Math.ceil(timeMs(fields.expiresAt as string) - clock.nowMs())
      if (key === null || leftMs < 1 || isRevoked(token)) return 'not_cached'
      try {
        const outcome = await cache.set(key, fields, { ttl: Math.min(ttlMs, leftMs) })
        tell('warm', startNs, fields)
        return outcome
      } catch (error) {
        const safe = withoutToken(error, token)
        if (isPrewarmError(safe) && safe.code === 'VALUE_INVALID') throw safe
        log.warn('session {session_id} was not cached: {error}', { session_id: fields.id, error: String(safe) })
        return 'not_cached'
      }
    },

    async revokeSession(token) {
      const startNs = clock.nowNs()
      if (!isStorable(token)) return false
      revoked.set(digestOf(token), true)
      // First in the database: what is loaded after the cache has been told must not find it there.
      const [ended] = await Promise.allSettled([run(token, endSession(token, schema))])
      const key = keyOf(token)
      if (key !== null) await cache.delete(key).catch((error) => Promise.reject(withoutToken(error, token)))
      if (ended.status === 'rejected') throw ended.reason
      tell('revoke', startNs, ended.value[0])
      return ended.value.length > 0
    },
  }
}

/** The fields of a row that are not null. */
function presentFields(row: Row): SessionFields {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
  )
}

/** No text in Postgres holds a NUL, or half a character: what does is no token. */
function isStorable(token: unknown): token is string {
  return typeof token === 'string' && token !== '' && !token.includes('\0') && token.isWellFormed()
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}
