import type { Sql } from 'postgres'
import { type QueryFunction, type Row, runQuery } from '../query.ts'
import { tablesIn } from '../table.ts'

/** What is warmed of a user, each under a key of its own. */
export type UserPart = 'profile' | 'settings' | 'recent' | 'forms'

/** Loads one part of many users; a user who is not in the answer has none. */
export type LoadUsers = (userIds: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, unknown>>

export interface FoundUser {
  id: string
  email: string
  username: string | null
  firstName: string | null
  lastName: string | null
}

/** Where users come from. Each should stop when its signal aborts; what it brings after that is not used. */
export interface UserLoaders extends Record<UserPart, LoadUsers> {
  /** The most active users of the last hours, the busiest first. */
  top(of: { limit: number; windowHours: number }, signal: AbortSignal): Promise<string[]>
  /** Users whose names begin with a text, which is trimmed and in lower case. */
  search(of: { text: string; limit: number }, signal: AbortSignal): Promise<FoundUser[]>
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** A user's latest items that are listed. */
const RECENT_ITEMS = 20

const PROFILE = `'id', u.id, 'email', u.email, 'username', u.username, 'firstName', u.first_name, 'lastName', u.last_name`

/**
 * {@linkcode UserLoaders} over the tables of `userSchema`: a deleted user has no value, one without settings, items or forms has
 * an empty one. A list of recent items holds each item once, 20 at most.
 */
export function sqlLoaders(sql: Sql | QueryFunction, { schema = 'platform' }: { schema?: string } = {}): UserLoaders {
  const table = tablesIn(schema)
  const loader =
    (what: string, value: string): LoadUsers =>
    async (userIds, signal) => {
      const ids = userIds.filter((id) => UUID.test(id))
      if (ids.length === 0) return new Map()
      const text = `
        select u.id::text as id, ${value} as value from ${table('users')} u
        where u.id = any($1::text::uuid[]) and u.deleted_at is null`
      const rows = await runQuery(sql, { what, text, parameters: [`{${ids.join(',')}}`] }, { signal })
      return new Map(rows.map((row) => [row.id as string, jsonOf(row)]))
    }
  const listOf = (fields: string, from: string, order: string) =>
    `(select coalesce(json_agg(json_build_object(${fields}) order by ${order}), '[]') from ${from})`

  return {
    profile: loader('Reading profiles', `json_build_object(${PROFILE})`),
    settings: loader(
      'Reading settings',
      `coalesce((select json_build_object('permissions', s.permissions, 'settings', s.settings)
          from ${table('user_settings')} s where s.user_id = u.id), '{"permissions": [], "settings": {}}')`,
    ),
    recent: loader(
      'Reading recent items',
      listOf(
        `'item', a.item, 'title', a.title, 'at', a.at`,
        `(select item, max(title) as title, max(at) as at from ${table('user_activity')}
            where user_id = u.id group by item order by max(at) desc, item limit ${RECENT_ITEMS}) a`,
        'a.at desc, a.item',
      ),
    ),
    forms: loader(
      'Reading forms',
      listOf(
        `'id', f.id, 'name', f.name, 'fields', f.fields, 'updatedAt', f.updated_at`,
        `${table('user_forms')} f where f.user_id = u.id`,
        'f.updated_at desc, f.id',
      ),
    ),

    async top({ limit, windowHours }, signal) {
      const text = `
        select u.id::text as id from ${table('user_activity')} a join ${table('users')} u on u.id = a.user_id
        where a.at > now() - $1::text::float8 * interval '1 hour'
          and u.deleted_at is null and (u.banned_until is null or u.banned_until <= now())
        group by u.id order by count(*) desc, max(a.at) desc, u.id limit $2::text::int`
      const parameters = [String(windowHours), String(limit)]
      const rows = await runQuery(sql, { what: 'Listing the top users', text, parameters }, { signal })
      return rows.map(({ id }) => id as string)
    },

    async search({ text: beginning, limit }, signal) {
      const text = `
        select json_build_object(${PROFILE}) as value from ${table('users')} u
        where u.deleted_at is null and (lower(u.email) like $1 or lower(u.username) like $1 or lower(u.last_name) like $1
          or lower(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) like $1)
        order by u.username, u.email, u.id limit $2::text::int`
      const parameters = [`${beginning.replace(/[\\%_]/g, '\\$&')}%`, String(limit)]
      const rows = await runQuery(sql, { what: 'Searching users', text, parameters }, { signal })
      return rows.map((row) => jsonOf(row) as FoundUser)
    },
  }
}

/** JSON, whether the driver has parsed it or not. */
function jsonOf({ value }: Row): unknown {
  return typeof value === 'string' ? JSON.parse(value) : value
}
