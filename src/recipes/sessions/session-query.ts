import type { Query } from '../query.ts'
import { tablesIn } from '../table.ts'

/** SQL: session `s` of user `u` may be used now. */
export const isUsable = `s.expires_at > now() and u.deleted_at is null
            and (u.banned_until is null or u.banned_until <= now())`

/** The session that bears `token` and may be used now: the fields that `sessionTasks` warms, in Postgres' text form. */
export function sessionByToken(token: string, schema: string): Query {
  const table = tablesIn(schema)
  return {
    what: 'Reading a session',
    parameters: [token],
    text: `
      select s.id::text as id, s.user_id::text as "userId", s.token, s.expires_at::text as "expiresAt",
        s.last_activity_at::text as "lastActivityAt", host(s.ip_address) as "ipAddress", s.user_agent as "userAgent",
        s.created_at::text as "createdAt", u.email, u.first_name as "firstName", u.last_name as "lastName", u.username
      from ${table('user_sessions')} s
      join ${table('users')} u on u.id = s.user_id
      where s.token = $1 and ${isUsable}`,
  }
}

/** Ends the session that bears `token`; gives its `id` and `userId` if there is one. */
export function endSession(token: string, schema: string): Query {
  return {
    what: 'Ending a session',
    parameters: [token],
    text: `
      update ${tablesIn(schema)('user_sessions')} set expires_at = least(expires_at, now()) where token = $1
      returning id::text as id, user_id::text as "userId"`,
  }
}
