import { PrewarmError } from '../errors.ts'
import { jitteredTtlMs } from '../keyspace/ttl.ts'
import type { Form } from './forms.ts'
import type { Asked } from './memory.ts'
import type { CacheLimits } from './options.ts'
import type { CacheResult, FilledBy, SetOutcome } from './types.ts'

export type WriteOutcome = 'written' | 'skipped_newer' | 'skipped_present'

/** A result, and what only observers are told of it. */
export interface Settled {
  result: CacheResult<unknown>
  expiresAtMs: number
  /** What became of the write, where something was loaded and could be written. */
  outcome?: WriteOutcome | undefined
  /** Why it could not be stored at all. */
  problem?: unknown
}

/** One key on its way: what is known of how it is kept, and everyone who waits for it. */
export interface Item {
  readonly key: string
  readonly form: Form
  /** How long it is fresh, and how long it is served after that. */
  readonly ttlMs: number
  readonly graceMs: number
  /** The same for what the application has set, or another program: only what the call itself says. */
  readonly ownGraceMs: number
  readonly negativeTtlMs: number
  readonly tags: readonly string[]
  readonly filledBy: FilledBy
  readonly asked: Asked
  readonly done: Promise<Settled>
  settle(settled: Settled): void
  fail(error: unknown): void
}

export interface ItemTimes {
  ttlMs: number | undefined
  graceMs: number | undefined
  negativeTtlMs: number | undefined
}

export function createItem(
  key: string,
  form: Form,
  times: ItemTimes,
  limits: CacheLimits,
  asked: Asked,
  { tags = [], filledBy = 'read' }: { tags?: readonly string[]; filledBy?: FilledBy } = {},
): Item {
  const { promise, resolve, reject } = Promise.withResolvers<Settled>()
  // Whoever waits is told; nobody may wait any more.
  promise.catch(() => {})
  const full = times.ttlMs ?? form.task?.ttlMs ?? limits.defaultTtlMs
  return {
    key,
    form,
    ttlMs: jitteredTtlMs(key, full, form.task?.ttlJitter ?? limits.ttlJitter),
    graceMs: graceOf(times.graceMs ?? limits.graceMs, full),
    ownGraceMs: graceOf(times.graceMs ?? 0, full),
    negativeTtlMs: times.negativeTtlMs ?? limits.negativeTtlMs,
    tags,
    filledBy,
    asked,
    done: promise,
    settle: resolve,
    fail: reject,
  }
}

/** Another read of the same, kept alike. */
export function another(item: Item, asked: Asked): Item {
  const { promise, resolve, reject } = Promise.withResolvers<Settled>()
  promise.catch(() => {})
  return { ...item, asked, done: promise, settle: resolve, fail: reject }
}

/**
 * At most half of the TTL: what the warmer writes has no grace besides. What lives for less than a second has none: nothing then
 * tells who filled it, see `STAMP_LUA`.
 */
function graceOf(graceMs: number, ttlMs: number): number {
  if (ttlMs < 1000) return 0
  return Math.min(graceMs, Math.floor(ttlMs / 2))
}

export function missed(ttlMs = 0, value?: unknown): CacheResult<unknown> {
  return { value, tier: 'origin', status: 'miss', filledBy: 'read', ttlMs }
}

/** What became of a value that was to be written. @throws what kept it from being stored, or `STORE_UNREACHABLE` */
export function outcomeOf(key: string, { result, outcome, problem }: Settled): SetOutcome | 'no_value' {
  if (problem !== undefined) throw problem
  if (result.value === undefined) return 'no_value'
  if (outcome === undefined)
    throw new PrewarmError('STORE_UNREACHABLE', `'${key}' was loaded, and could not be written`)
  return outcome === 'written' ? 'written' : 'skipped_newer'
}
