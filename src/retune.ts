import { BOUNDS } from './config/fields.ts'
import type { Config } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import { toTask } from './config/task.ts'
import { PrewarmError } from './errors.ts'
import type { Changes } from './facade.ts'
import { strategyNames } from './job/strategy/register.ts'

/** The bounds of each number that may change while running. */
export const CHANGE_BOUNDS = {
  maxOriginRps: BOUNDS.maxOriginRps,
  concurrentWarmers: BOUNDS.concurrentWarmers,
  maxBatchSize: BOUNDS.batchSize,
  defaultTtlMs: BOUNDS.ttlMs,
  originTimeoutMs: BOUNDS.timeoutMs,
  retryAttempts: BOUNDS.retries,
  backoffBaseMs: BOUNDS.delayMs,
  emergencyThresholdMs: BOUNDS.timeoutMs,
  workers: BOUNDS.workers,
} as const satisfies Record<keyof Omit<Changes, 'defaultStrategy'>, readonly [number, number, boolean]>

/**
 * `config` with these changes: its settings, and its tasks as far as they go by the settings.
 *
 * @throws {PrewarmError} `REQUEST_INVALID` naming the field, its value and its bounds
 */
export function retuned(config: Config, changes: Changes): Config {
  for (const [field, value] of Object.entries(changes)) check(field, value, config)
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  const settings: Settings = { ...config.settings, ...given }
  const tasks = new Map(
    Object.entries(config.definition.tasks).map(([name, task]) => [name, toTask(name, task, settings)]),
  )
  return { ...config, settings, tasks }
}

function check(field: string, value: unknown, { settings, definition }: Config): void {
  if (value === undefined) return
  if (field === 'defaultStrategy') {
    const names = strategyNames(definition.strategies)
    if (names.includes(value as string)) return
    throw invalid(field, value, `one of ${names.join(', ')}`)
  }
  const bounds = CHANGE_BOUNDS[field as keyof typeof CHANGE_BOUNDS]
  if (bounds === undefined) throw invalid(field, value, `one of ${Object.keys(CHANGE_BOUNDS).join(', ')}`)
  const [min, max, whole] = bounds
  const isIn = typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))
  if (!isIn) throw invalid(field, value, `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`)
  if (field === 'workers' && (value === 0) !== (settings.workers === 0))
    throw invalid(field, value, 'as before: whether workers are threads can only be changed by a restart')
}

function invalid(field: string, value: unknown, expected: string): PrewarmError {
  return new PrewarmError('REQUEST_INVALID', `${field} is ${JSON.stringify(value)}, expected ${expected}`)
}

/** What each of them is called outside: by the HTTP API and in events. */
const OUTSIDE = {
  maxOriginRps: 'max_origin_rps',
  concurrentWarmers: 'concurrent_warmers',
  maxBatchSize: 'max_batch_size',
  defaultTtlMs: 'default_ttl',
  originTimeoutMs: 'origin_timeout',
  retryAttempts: 'retry_attempts',
  backoffBaseMs: 'backoff_base',
  emergencyThresholdMs: 'emergency_threshold',
  defaultStrategy: 'default_strategy',
  workers: 'workers',
} as const satisfies Record<keyof Changes, string>

/** What differs between two configurations' settings, by the name that it has outside; times in ms. */
export function changesBetween(before: Settings, after: Settings): Record<string, { from: unknown; to: unknown }> {
  const changes: Record<string, { from: unknown; to: unknown }> = {}
  for (const [name, outside] of Object.entries(OUTSIDE) as [keyof Changes, string][])
    if (before[name] !== after[name]) changes[outside] = { from: before[name], to: after[name] }
  return changes
}

/** Settings that only a restart can change, of those that differ. */
export function needsRestart(before: Settings, after: Settings): string[] {
  const fixed = [
    'redisUrl',
    'redisTls',
    'databaseUrl',
    'databaseTls',
    'control',
    'rewarm',
    'shareOriginRps',
    'publishEvents',
  ] as const
  const differ = fixed.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  return (before.workers === 0) === (after.workers === 0) ? differ : [...differ, 'workers']
}

/** How many workers there are, and how many batches each may have: none is kept that could never have one. */
export function poolSize({ workers, concurrentWarmers }: Settings): { threads: number; slots: number } {
  const threads = Math.max(1, Math.min(workers, concurrentWarmers))
  return { threads, slots: Math.ceil(concurrentWarmers / threads) }
}
