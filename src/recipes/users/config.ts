import { z } from 'zod'
import { load, type OriginContext, type TaskDefinition } from '../../define.ts'
import { MAX_FOUND, MAX_SEARCH_LENGTH, normalSearch, PART_TTL, SEARCH_TTL, userKeys } from './keys.ts'
import { sqlLoaders, type UserPart } from './loaders.ts'

export interface UserTaskOptions {
  /** Where `users` and their tables are. @default 'platform' */
  schema?: string
  /** Put before every key. @default '' */
  keyPrefix?: string
  /** Top users to warm; the parameter `limit`. 1 to 100_000. @default 100 */
  limit?: number
  /** Hours whose activity counts; the parameter `hours`. 1 to 8760. @default 24 */
  windowHours?: number
}

export type UserTaskName = 'userProfiles' | 'userSettings' | 'userRecent' | 'userForms' | 'userSearches'

/**
 * What is shown of a user on every page, of the users who were most active lately, as JSON:
 * - `userProfiles`: `user:{user_id}:profile`, names and address;
 * - `userSettings`: `user:{user_id}:settings`, permissions and settings;
 * - `userRecent`: `user:{user_id}:recent`, the latest 20 items;
 * - `userForms`: `user:{user_id}:forms`, the forms and what is filled in;
 * - `userSearches`: `users:search:{limit}:{text}`, users whose names begin with a text; only warmed by key.
 */
export function userTasks(options: UserTaskOptions = {}): Record<UserTaskName, TaskDefinition> {
  const { schema = 'platform', keyPrefix = '', limit = 100, windowHours = 24 } = options
  const keys = userKeys(keyPrefix)
  const loadersOf = ({ sql }: OriginContext) => sqlLoaders(sql, { schema })

  const part = (name: UserPart, priority: number): TaskDefinition =>
    load({
      key: keys.parts[name].source,
      value: 'json',
      ttl: PART_TTL[name],
      priority,
      tags: ['users'],
      params: z.object({
        limit: z.number().int().min(1).max(100_000).default(limit),
        hours: z.number().int().min(1).max(8760).default(windowHours),
      }),
      select: (context) => {
        const { limit, hours } = context.params as { limit: number; hours: number }
        return loadersOf(context).top({ limit, windowHours: hours }, context.signal)
      },
      async load(all, context) {
        const values = await loadersOf(context)[name](context.ids.map(userIdOf), context.signal)
        return all.map((_key, at) => values.get(userIdOf(context.ids[at])))
      },
    })

  return {
    userProfiles: part('profile', 90),
    userSettings: part('settings', 85),
    userRecent: part('recent', 70),
    userForms: part('forms', 60),
    userSearches: load({
      key: keys.search.source,
      value: 'json',
      ttl: SEARCH_TTL,
      priority: 10,
      tags: ['users'],
      select: () => [], // nobody lists what people search for: only by key
      load: (_all, context) =>
        Promise.all(
          context.ids.map(({ limit: count = '', text = '' }) =>
            isSearch(count, text)
              ? loadersOf(context).search({ text, limit: Number(count) }, context.signal)
              : undefined,
          ),
        ),
    }),
  }
}

function userIdOf({ user_id = '' }: Record<string, string> = {}): string {
  return user_id
}

/** What `searchUsers` would ask for: others can name keys, too. */
function isSearch(limit: string, text: string): boolean {
  return (
    /^[1-9]\d{0,3}$/.test(limit) &&
    Number(limit) <= MAX_FOUND &&
    text.length <= MAX_SEARCH_LENGTH &&
    normalSearch(text) === text
  )
}
