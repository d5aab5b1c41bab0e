import { PrewarmError, redact } from '../errors.ts'
import { strategyNames } from '../job/strategy/register.ts'
import { BOUNDS } from './fields.ts'

/** What the environment sets; a variable that is absent or empty sets nothing. */
export interface EnvironmentSettings {
  redisUrl?: string | undefined
  databaseUrl?: string | undefined
  jwtSecret?: string | undefined
  startupEnabled?: boolean | undefined
  startupDelayMs?: number | undefined
  maxOriginRps?: number | undefined
  concurrentWarmers?: number | undefined
  maxBatchSize?: number | undefined
  defaultTtlMs?: number | undefined
  originTimeoutMs?: number | undefined
  retryAttempts?: number | undefined
  backoffBaseMs?: number | undefined
  emergencyThresholdMs?: number | undefined
  defaultStrategy?: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

const NAMES = /^(REDIS_URL|DATABASE_URL|ENABLE_CACHE_WARMING_ON_STARTUP|CACHE_WARMING_STARTUP_DELAY|WARMING_\w+)$/

/** The variables of `env` that are prewarm's. */
export function ownVariables(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => NAMES.test(entry[0]) && entry[1] !== undefined),
  )
}

/**
 * Reads prewarm's environment variables.
 *
 * @param strategies that there are
 * @throws {PrewarmError} `CONFIG_INVALID` naming the variable, its value and what was expected
 */
export function readEnvironment(
  env: Environment,
  strategies: readonly string[] = strategyNames(undefined),
): EnvironmentSettings {
  const text = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name])
  const number = (name: string, [min, max, whole]: readonly [number, number, boolean], unit: number = 1) => {
    const value = text(name)
    if (value === undefined) return undefined
    const read = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : Number.NaN
    if (!(read * unit >= min && read * unit <= max) || (whole && !Number.isInteger(read))) {
      const bounds = `from ${min / unit} to ${max / unit}`
      throw invalid(name, value, `a ${whole ? 'whole ' : ''}number ${bounds}${unit === 1000 ? ' (seconds)' : ''}`)
    }
    return unit === 1 ? read : Math.round(read * unit)
  }
  const url = (name: string, protocols: readonly string[]) => {
    const value = text(name)
    if (value !== undefined && !protocols.some((protocol) => value.startsWith(protocol))) {
      throw invalid(name, redact(value), `a URL that starts with ${protocols.join(' or ')}`)
    }
    return value
  }
  const flag = (name: string) => {
    const value = text(name)?.toLowerCase()
    if (value === undefined) return undefined
    if (['true', '1', 'yes', 'on'].includes(value)) return true
    if (['false', '0', 'no', 'off'].includes(value)) return false
    throw invalid(name, value, 'true or false')
  }
  const strategy = text('WARMING_DEFAULT_STRATEGY')
  if (strategy !== undefined && !strategies.includes(strategy))
    throw invalid('WARMING_DEFAULT_STRATEGY', strategy, `one of ${strategies.join(', ')}`)
  return {
    redisUrl: url('REDIS_URL', ['redis://', 'rediss://']),
    databaseUrl: url('DATABASE_URL', ['postgres://', 'postgresql://']),
    jwtSecret: text('PREWARM_JWT_SECRET'),
    startupEnabled: flag('ENABLE_CACHE_WARMING_ON_STARTUP'),
    startupDelayMs: number('CACHE_WARMING_STARTUP_DELAY', BOUNDS.delayMs),
    maxOriginRps: number('WARMING_MAX_ORIGIN_RPS', BOUNDS.maxOriginRps),
    concurrentWarmers: number('WARMING_CONCURRENT_WARMERS', BOUNDS.concurrentWarmers),
    maxBatchSize: number('WARMING_MAX_BATCH_SIZE', BOUNDS.batchSize),
    defaultTtlMs: number('WARMING_DEFAULT_TTL', BOUNDS.ttlMs, 1000),
    originTimeoutMs: number('WARMING_ORIGIN_TIMEOUT', BOUNDS.timeoutMs, 1000),
    retryAttempts: number('WARMING_RETRY_ATTEMPTS', BOUNDS.retries),
    backoffBaseMs: number('WARMING_BACKOFF_BASE', BOUNDS.delayMs),
    emergencyThresholdMs: number('WARMING_EMERGENCY_THRESHOLD', BOUNDS.timeoutMs),
    defaultStrategy: strategy,
  }
}

function invalid(name: string, value: string, expected: string): PrewarmError {
  return new PrewarmError('CONFIG_INVALID', `Environment variable ${name} is '${value}', expected ${expected}`)
}
