import { z } from 'zod'
import { sql, type TaskDefinition } from '../../define.ts'
import { tablesIn } from '../table.ts'
import { TOKEN_PREFIX_LENGTH } from './lookup.ts'
import { isUsable } from './session-query.ts'

/** Sessions that are warmed where nothing else is said. */
export const DEFAULT_SESSION_COUNT = 1000
/** Sessions that are read from the database, and written, at once. */
export const SESSION_BATCH_SIZE = 100
/** How long ago a session may have been active last, to be warmed. */
export const RECENT_WINDOW_HOURS = 24

export interface SessionTaskOptions {
  /** Where `users` and `user_sessions` are. @default 'platform' */
  schema?: string
  /** Put before every key. @default '' */
  keyPrefix?: string
  /** Sessions to warm; the parameter `limit`. 1 to 1_000_000. @default 1000 */
  limit?: number
}

const FIELDS = [
  ...['id', 'userId', 'token', 'expiresAt', 'lastActivityAt', 'ipAddress', 'userAgent', 'createdAt'],
  ...['email', 'firstName', 'lastName', 'username'],
]

/**
 * The sessions that were active in the last 24 hours (`--hours`) and may still be used, newest first, as hashes
 * `session:{token_prefix}`; times in Postgres' text form, a null field left out.
 *
 * The key is the token's first 16 characters, so that keys in logs and monitors let nobody in. That has a price:
 * - Two sessions can share a prefix. Where both would be warmed neither is: both are reported as failed with
 *   `KEY_INVALID`, the job is `partial`, and their users are served by the database. The same goes for a token that has
 *   no more characters than the prefix, and for tokens that all begin alike, as JWTs do: those need another key.
 * - A hash found by its prefix proves nothing, for whoever knows 16 characters finds it, and it outlives the session by up
 *   to the TTL. A reader asks `isSession`, which compares the whole token and the time.
 */
export function sessionTasks(options: SessionTaskOptions = {}): Record<'sessions', TaskDefinition> {
  const { schema = 'platform', keyPrefix = '', limit = DEFAULT_SESSION_COUNT } = options
  const table = tablesIn(schema)
  return {
    sessions: sql({
      key: `${keyPrefix}session:{token_prefix}`,
      value: 'hash',
      columns: FIELDS,
      ttl: '5m',
      priority: 100,
      critical: true,
      tags: ['sessions'],
      batchSize: SESSION_BATCH_SIZE,
      params: z.object({
        limit: z.number().int().min(1).max(1_000_000).default(limit),
        hours: z.number().int().min(1).max(8760).default(RECENT_WINDOW_HOURS),
      }),
      // No order key: one statement sees one moment, so a prefix can't be met in two pages that don't know of each other.
      query: `
        with hot as materialized (
          select s.id, s.user_id as "userId", s.token, s.expires_at as "expiresAt",
            s.last_activity_at as "lastActivityAt", host(s.ip_address) as "ipAddress", s.user_agent as "userAgent",
            s.created_at as "createdAt", u.email, u.first_name as "firstName", u.last_name as "lastName", u.username,
            left(s.token, ${TOKEN_PREFIX_LENGTH}) as prefix
          from ${table('user_sessions')} s
          join ${table('users')} u on u.id = s.user_id
          where s.last_activity_at > now() - make_interval(hours => :hours::int) and ${isUsable}
          order by s.last_activity_at desc, s.id
          limit :limit
        ), shared as (
          select prefix from hot group by prefix having count(*) > 1
        )
        select hot.*,
          case when length(token) > ${TOKEN_PREFIX_LENGTH} and prefix not in (select prefix from shared)
            then prefix end as token_prefix -- null can be no key
        from hot
        order by "lastActivityAt" desc, id`,
    }),
  }
}
