import type { Context, MiddlewareHandler } from 'hono'
import type { ControlSettings } from '../../config/service-settings.ts'
import type { RateCounter } from '../../coordination/types.ts'
import { PrewarmError } from '../../errors.ts'
import type { ControlEnv } from './index.ts'
import { digest } from './token.ts'

export type Bucket = keyof ControlSettings['rateLimits']

const WINDOW_MS = 60_000

/** Ways to warm, each with a count of its own. */
const WAYS = ['run', 'key', 'pattern', 'trigger-predictive']

/**
 * At most `max` requests a minute of each subject. Subjects are digested: they are as long as a caller likes, and Redis
 * need not know them.
 */
export function rateLimit(
  bucket: Bucket,
  max: number,
  counter: RateCounter,
  subjectOf: (c: Context) => string,
): MiddlewareHandler<ControlEnv> {
  return async (c, next) => {
    const limit = { max, windowMs: WINDOW_MS }
    const count = await counter.take(`${nameOf(bucket, c.req.path)}:${digest(subjectOf(c))}`, limit)
    const { headers } = c.res
    headers.set('ratelimit-policy', `${count.limit};w=${WINDOW_MS / 1000}`)
    headers.set('ratelimit-limit', String(count.limit))
    headers.set('ratelimit-remaining', String(count.remaining))
    headers.set('ratelimit-reset', String(Math.ceil(count.resetInMs / 1000)))
    if (!count.allowed) {
      const seconds = retryAfter(count.retryInMs)
      headers.set('retry-after', seconds)
      throw new PrewarmError('RATE_LIMITED', `At most ${max} requests a minute: try again in ${seconds} s`)
    }
    await next()
  }
}

/** Whole seconds, at least one: who comes back then is let in. */
export function retryAfter(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1000)))
}

/** By the path's end, as the app may be mounted anywhere; anything else that a path may end in shares one count. */
function nameOf(bucket: Bucket, path: string): string {
  if (bucket !== 'warm') return bucket
  const way = path.slice(path.lastIndexOf('/') + 1)
  return WAYS.includes(way) ? `warm-${way}` : 'warm'
}
