import { getLogger } from '@logtape/logtape'
import { systemClock } from '../../clock.ts'
import { toFailure } from '../../errors.ts'
import { durationMs } from '../duration.ts'
import { wholeNumber } from '../table.ts'
import { attempt } from './attempt.ts'
import { MAX_FOUND, normalSearch, PART_TTL, SEARCH_TTL, userKeys } from './keys.ts'
import { type FoundUser, sqlLoaders, type UserPart } from './loaders.ts'
import type { TopUsersWarmed, UserCache, UserCacheOptions, UserFailure, UserWarmed } from './types.ts'

/**
 * Warms users' data as it is needed: at a login, or for those who will most likely come. The keys are those of `userTasks`.
 *
 * A try that takes too long is given up, and what it brings later is not written; nor is a value older than what came meanwhile.
 *
 * @throws {RangeError} on an option out of bounds
 */
export function createUserCache(options: UserCacheOptions): UserCache {
  const { cache, keyPrefix = '', log = getLogger(['prewarm', 'users']) } = options
  const clock = options.clock ?? systemClock(() => Math.round(performance.now() * 1e6))
  const loaders =
    options.loaders ?? sqlLoaders(options.sql, options.schema === undefined ? {} : { schema: options.schema })
  const concurrency = wholeNumber('concurrency', options.concurrency ?? 10, 1, 100)
  const patience = {
    timeoutMs: durationMs('timeout', options.timeout ?? '1s', 1),
    retries: wholeNumber('retries', options.retries ?? 3, 0, 20),
    backoffMs: durationMs('backoff', options.backoff ?? '1s', 0),
    clock,
  }
  const keys = userKeys(keyPrefix)

  function warmPart(what: UserPart, userId: string) {
    return attempt(
      `Warming ${what}`,
      async (signal) => {
        const load = async () => {
          const values = await loaders[what]([userId], signal)
          // Too late: another try may have brought a newer value.
          signal.throwIfAborted()
          return values.get(userId)
        }
        return cache.warm(keys.parts[what].format({ user_id: userId }), { load, ttl: PART_TTL[what] })
      },
      patience,
    )
  }

  async function warmUserData(userId: string, { preloadForms = false } = {}): Promise<UserWarmed> {
    const startNs = clock.nowNs()
    const parts: UserPart[] = ['profile', 'settings', 'recent', ...(preloadForms ? (['forms'] as const) : [])]
    const outcomes = await Promise.allSettled(parts.map((what) => warmPart(what, userId)))
    const result: UserWarmed = { warmed: [], skipped: [], failed: [], durationNs: 0 }
    for (const [at, outcome] of outcomes.entries()) {
      const what = parts[at] as UserPart
      if (outcome.status === 'rejected') result.failed.push(failureOf(what, outcome.reason))
      else if (outcome.value === 'written') result.warmed.push(what)
      else result.skipped.push({ what, why: outcome.value })
    }
    result.durationNs = clock.nowNs() - startNs
    const { warmed, failed, durationNs } = result
    log[failed.length > 0 ? 'warn' : 'info']('warmed {warmed} of user {user_id}', {
      operation: 'warm_user',
      user_id: userId,
      warmed: warmed.length,
      failed,
      duration_ms: durationNs / 1e6,
    })
    return result
  }

  async function warmTopUsers({ limit = 100, windowHours = 24, preloadForms = false } = {}): Promise<TopUsersWarmed> {
    wholeNumber('limit', limit, 1, 100_000)
    wholeNumber('windowHours', windowHours, 1, 8760)
    const startNs = clock.nowNs()
    const result: TopUsersWarmed = { users: 0, warmed: 0, skipped: 0, failed: [], durationNs: 0 }
    try {
      const listed = await attempt(
        'Listing the top users',
        (signal) => loaders.top({ limit, windowHours }, signal),
        patience,
      )
      result.users = listed.length
      const left = listed.values()
      const warmNext = async () => {
        for (const userId of left) {
          const { warmed, skipped, failed } = await warmUserData(userId, { preloadForms })
          result.warmed += warmed.length
          result.skipped += skipped.length
          result.failed.push(...failed.map((one) => ({ userId, ...one })))
        }
      }
      await Promise.all(Array.from({ length: concurrency }, warmNext))
    } catch (error) {
      result.failed.push(failureOf('top', error))
    }
    result.durationNs = clock.nowNs() - startNs
    return result
  }

  async function searchUsers(text: string, { limit = 20 } = {}): Promise<readonly FoundUser[]> {
    wholeNumber('limit', limit, 1, MAX_FOUND)
    const wanted = normalSearch(text)
    if (wanted === '') return []
    const load = () =>
      attempt('Searching users', (signal) => loaders.search({ text: wanted, limit }, signal), {
        ...patience,
        retries: 0,
      })
    const found = await cache.get<FoundUser[]>(keys.search.format({ limit, text: wanted }), { load, ttl: SEARCH_TTL })
    return found ?? []
  }

  return { warmUserData, warmTopUsers, searchUsers }
}

function failureOf(what: UserFailure['what'], error: unknown): UserFailure {
  const { code, message } = toFailure(error, 'ORIGIN_FAILED')
  return { what, code, message }
}
