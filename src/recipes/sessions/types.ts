import type { Sql } from 'postgres'
import type { CacheFacade } from '../../cache/types.ts'
import type { Clock } from '../../clock.ts'
import type { Duration } from '../../config/duration.ts'
import type { QueryFunction } from '../query.ts'
import type { NewSession, SessionFields } from './fields.ts'

export interface SessionCacheOptions {
  /** One that knows `sessionTasks` keeps sessions as the warmer writes them; any other as JSON. */
  cache: Pick<CacheFacade, 'read' | 'set' | 'delete'>
  /** postgres.js, or a function that runs a query over another driver. `user_sessions` needs an index on `token`. */
  sql: Sql | QueryFunction
  /** Where `users` and `user_sessions` are. @default 'platform' */
  schema?: string
  /** As given to `sessionTasks`. @default '' */
  keyPrefix?: string
  /** How long a session is served before the database is asked again, ms or text. 1 ms to 10 years. @default '5m' */
  ttl?: Duration
  /** How long this process remembers that a token is nobody's. 0: not at all. @default '10s' */
  negativeTtl?: Duration
  /** Bound on one query. At least 1 ms. @default '5s' */
  queryTimeout?: Duration
  /** @default LogTape's `prewarm.sessions` */
  log?: SessionLog
  clock?: Pick<Clock, 'nowMs' | 'nowNs'>
}

/** Where log lines go. No line holds a token, or a part of one. */
export interface SessionLog {
  info(message: string, properties: Record<string, unknown>): void
  warn(message: string, properties: Record<string, unknown>): void
}

/** What each call logs. The ids are null where there is no such session. */
export interface SessionLogLine {
  operation: 'validate' | 'warm' | 'revoke'
  cache_hit: boolean
  duration_ms: number
  user_id: string | null
  session_id: string | null
}

/** Sessions, read through the cache that `sessionTasks` warms. */
export interface SessionCache {
  /**
   * The session that bears `token`, or null if there is none: unknown, expired, revoked, or its user is deleted or banned.
   * From the cache, else from the database (and then cached); from the database alone where Redis can't be asked. A user who
   * is banned, or deleted, in the database only is served until the cached session has expired: call `revokeSession`.
   *
   * @throws the database's error, without the token, where neither could answer; `ORIGIN_TIMEOUT` after `queryTimeout`
   */
  validateSession(token: string): Promise<SessionFields | null>
  /**
   * Caches a session at its login. Never throws for a Redis that is away: the database answers for it.
   *
   * @returns `not_cached` if Redis can't be reached, the token is too short to have a key, or was revoked by this process
   * @throws {PrewarmError} `VALUE_INVALID` for a session without `id`, `userId` or `expiresAt`
   */
  warmSession(token: string, session: NewSession): Promise<'written' | 'skipped_newer' | 'not_cached'>
  /**
   * Ends a session in the database (it expires now), then in every cache; loads in flight can't bring it back. This process
   * serves it no more from the moment of the call, whatever comes of it. True if the database had it.
   *
   * @throws the database's error; {@linkcode PrewarmError} `STORE_UNREACHABLE`: other processes may serve it until it
   *   expires in Redis, so call again
   */
  revokeSession(token: string): Promise<boolean>
}
