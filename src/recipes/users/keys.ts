import { keyTemplate } from '../../define.ts'
import type { KeyTemplate } from '../../keyspace/template.ts'
import type { UserPart } from './loaders.ts'

/** How long each part is served before the database is asked again. */
export const PART_TTL: Readonly<Record<UserPart, string>> = {
  profile: '15m',
  settings: '15m',
  recent: '5m',
  forms: '10m',
}
export const SEARCH_TTL = '1m'
/** Users that one search gives at most. */
export const MAX_FOUND = 1000

/** Longer search texts are refused: no name is that long. In characters. */
export const MAX_SEARCH_LENGTH = 100

export interface UserKeys {
  readonly parts: Readonly<Record<UserPart, KeyTemplate>>
  /** Values of a search's key: its `limit` and its `text`, as {@linkcode normalSearch} gives it. */
  readonly search: KeyTemplate
}

/** The keys of the recipe; `keyPrefix` as given to `userTasks`. */
export function userKeys(keyPrefix = ''): UserKeys {
  const part = (name: UserPart) => keyTemplate(`${keyPrefix}user:{user_id}:${name}`)
  return {
    parts: { profile: part('profile'), settings: part('settings'), recent: part('recent'), forms: part('forms') },
    search: keyTemplate(`${keyPrefix}users:search:{limit}:{text}`),
  }
}

/** The key of one part of a user, to read it by. */
export function userKey(part: UserPart, userId: string, keyPrefix = ''): string {
  return userKeys(keyPrefix).parts[part].format({ user_id: userId })
}

/**
 * The same text for searches that mean the same: one Unicode form, lower case, single spaces.
 *
 * @throws {RangeError} for one of more than 100 characters
 */
export function normalSearch(text: string): string {
  const normal = text.toWellFormed().normalize('NFKC').toLowerCase().replaceAll('\0', ' ').replace(/\s+/g, ' ').trim()
  if (normal.length <= MAX_SEARCH_LENGTH) return normal
  throw new RangeError(`text must have at most ${MAX_SEARCH_LENGTH} characters, got ${normal.length}`)
}
