import { type Duration, parseDuration } from '../config/duration.ts'
import { type Failure, PrewarmError } from '../errors.ts'

export interface BunCacheWarmerOptions {
  /** `redis://` or `rediss://` URL. @default REDIS_URL, else an embedded server, which ends with each `executeTasks` */
  redis?: string | undefined
  /** Put before a task's name: that is its key. @default 'warmup:' */
  keyPrefix?: string
  /** How long the results of tasks that give no ttl live. @default WARMING_DEFAULT_TTL, else '1h' */
  ttl?: Duration
  /** Bound on a task that gives none. @default '1m' */
  taskTimeout?: Duration
  /** Bound on one `executeTasks`; tasks that have not begun by then never do. @default '5m' */
  timeout?: Duration
  /** Tasks that may begin in a second. 0.1 to 1_000_000. @default WARMING_MAX_ORIGIN_RPS, else 100 */
  maxOriginRps?: number
  env?: Readonly<Record<string, string | undefined>>
  /** Told what is embedded for lack of a URL. */
  onNotice?: (text: string) => void
}

/** One piece of work. */
export interface WarmTask<T = unknown> {
  /** Unique within one warmer. */
  name: string
  /** Larger is warmer and runs first. -1_000_000 to 1_000_000. @default 0 */
  priority?: number
  /**
   * Does it. What it returns is stored under the task's key as JSON; where that is nothing, a small record of the run is:
   * `{ task, ranAt, durationNs }`. `signal` aborts at the task's timeout and when the whole is ended.
   */
  execute: (context: { signal: AbortSignal }) => T | PromiseLike<T>
  /** The whole key. @default keyPrefix + name, with what has a meaning in keys percent-encoded */
  key?: string
  ttl?: Duration
  timeout?: Duration
  /** Further calls of `execute` after one that threw, or took too long. 0 to 20. @default 0 */
  retries?: number
}

/** What became of a task; also a `PromiseSettledResult`. */
export type WarmTaskResult<T = unknown> = {
  name: string
  key: string
  priority: number
  /** Of the last call of `execute`; 0 if it never ran. */
  durationNs: number
} & (
  | { status: 'fulfilled'; value: T }
  /** `reason`: what `execute` threw, else why its result could not be stored, or why it never ran. */
  | { status: 'rejected'; reason: unknown; error: Failure }
)

export function checkNumber(
  name: string,
  value: unknown,
  [min, max, isWhole]: readonly [number, number, boolean],
): void {
  if (value === undefined) return
  if (typeof value === 'number' && value >= min && value <= max && (!isWhole || Number.isInteger(value))) return
  throw usage(`${name} is ${String(value)}, expected a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
}

export function checkDuration(name: string, value: unknown, [min, max]: readonly [number, number, boolean]): void {
  if (value === undefined) return
  const ms = parseDuration(value)
  if (ms !== null && ms >= min && ms <= max) return
  throw usage(`${name} is '${String(value)}', expected ms as a number, or text such as '5m', from ${min} to ${max} ms`)
}

export function usage(message: string): PrewarmError {
  return new PrewarmError('USAGE', message)
}
