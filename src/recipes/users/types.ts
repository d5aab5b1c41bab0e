import type { Sql } from 'postgres'
import type { CacheFacade } from '../../cache/types.ts'
import type { Clock } from '../../clock.ts'
import type { Duration } from '../../config/duration.ts'
import type { ErrorCode } from '../../errors.ts'
import type { QueryFunction } from '../query.ts'
import type { FoundUser, UserLoaders, UserPart } from './loaders.ts'

interface Settings {
  cache: Pick<CacheFacade, 'get' | 'warm'>
  /** As given to `userTasks`. @default '' */
  keyPrefix?: string
  /** Bound on one try to load and write one part, or to search. At least 1 ms. @default '1s' */
  timeout?: Duration
  /** Further tries to warm after a failure that may pass. 0 to 20. @default 3 */
  retries?: number
  /** Before the second try; doubles with each: 1, 2, 4 s. @default '1s' */
  backoff?: Duration
  /** Users that `warmTopUsers` warms at once. 1 to 100. @default 10 */
  concurrency?: number
  /** @default LogTape's `prewarm.users` */
  log?: UserLog
  clock?: Clock
}

/** Users come from the tables of `userSchema` by `sql` (postgres.js, or a function over another driver), or from `loaders`. */
export type UserCacheOptions = Settings &
  (
    | {
        sql: Sql | QueryFunction
        /** Where `users` and their tables are. @default 'platform' */
        schema?: string
        loaders?: undefined
      }
    | { loaders: UserLoaders; sql?: undefined }
  )

export interface UserLog {
  info(message: string, properties: Record<string, unknown>): void
  warn(message: string, properties: Record<string, unknown>): void
}

/** Something that could not be warmed; the rest was all the same. */
export interface UserFailure {
  /** The part, or `top` where the top users could not be listed. */
  what: UserPart | 'top'
  code: ErrorCode
  message: string
}

export interface UserWarmed {
  warmed: UserPart[]
  /** Not written: the origin has none, or the key was changed, or filled, meanwhile. */
  skipped: { what: UserPart; why: 'no_value' | 'skipped_newer' }[]
  failed: UserFailure[]
  durationNs: number
}

export interface TopUsersWarmed {
  /** Users that were listed. */
  users: number
  /** Keys that were written. */
  warmed: number
  /** Keys that were not: see {@linkcode UserWarmed}. */
  skipped: number
  failed: (UserFailure & { userId?: string })[]
  durationNs: number
}

/** Users' data, warmed when it will be needed. */
export interface UserCache {
  /**
   * Warms what a user sees after the login: profile, settings and recent items, with `preloadForms` the forms, too; each by
   * itself and all at once. Never rejects: what failed is in the result. `preloadForms` is false by default.
   */
  warmUserData(userId: string, options?: { preloadForms?: boolean }): Promise<UserWarmed>
  /**
   * Warms the users who were most active lately, some at once. Never rejects for what can't be reached.
   *
   * @param options `limit` 1 to 100_000 (100), `windowHours` 1 to 8760 (24), `preloadForms` (false)
   * @throws {RangeError} on a number out of bounds
   */
  warmTopUsers(options?: { limit?: number; windowHours?: number; preloadForms?: boolean }): Promise<TopUsersWarmed>
  /**
   * Users whose e-mail address, user name, last or full name begins with `text`, through the cache. Without text: none.
   *
   * @param options `limit` 1 to 1000 (20)
   * @throws {RangeError} on a limit out of bounds, a text of more than 100 characters
   * @throws what the database throws, or {@linkcode PrewarmError} `ORIGIN_TIMEOUT`, where nothing is cached; not tried again
   */
  searchUsers(text: string, options?: { limit?: number }): Promise<readonly FoundUser[]>
}
