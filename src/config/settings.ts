import type { StrategyName } from '../types.ts'
import type { ConfigDefinition, TlsOptions } from './define.ts'
import { parseDuration } from './duration.ts'
import type { EnvironmentSettings } from './environment.ts'
import { type ServiceSettings, settleService } from './service-settings.ts'
import { settleWarmSet, type WarmSetSettings } from './warm-set.ts'

/** Everything but the tasks, with every default filled in. Times in ms. */
export interface Settings extends ServiceSettings, WarmSetSettings {
  /** Absent: an embedded server. */
  redisUrl: string | undefined
  redisTls: TlsOptions | undefined
  /** Absent: an embedded server. */
  databaseUrl: string | undefined
  databaseTls: TlsOptions | undefined
  workers: number
  maxOriginRps: number
  concurrentWarmers: number
  maxBatchSize: number
  pageRows: number
  defaultTtlMs: number
  originTimeoutMs: number
  retryAttempts: number
  backoffBaseMs: number
  emergencyThresholdMs: number
  defaultStrategy: StrategyName
  jobTimeoutMs: number
  startupEnabled: boolean
  startupDelayMs: number
}

/** What a command's flags may set; they win over everything. */
export interface FlagSettings {
  redisUrl?: string | undefined
  databaseUrl?: string | undefined
  workers?: number | undefined
}

/** Flag > environment > file > default. */
export function settle(
  file: Omit<ConfigDefinition, 'tasks'>,
  environment: EnvironmentSettings,
  flags: FlagSettings,
  cores: number,
): Settings {
  const ms = (value: number | string | undefined) =>
    value === undefined ? undefined : (parseDuration(value) as number)
  return {
    redisUrl: flags.redisUrl ?? environment.redisUrl ?? (file.redis || undefined),
    redisTls: file.redisTls,
    databaseUrl: flags.databaseUrl ?? environment.databaseUrl ?? (file.database || undefined),
    databaseTls: file.databaseTls,
    workers: flags.workers ?? file.workers ?? Math.min(4, cores),
    maxOriginRps: environment.maxOriginRps ?? file.maxOriginRps ?? 100,
    concurrentWarmers: environment.concurrentWarmers ?? file.concurrentWarmers ?? 10,
    maxBatchSize: environment.maxBatchSize ?? file.maxBatchSize ?? 50,
    pageRows: file.pageRows ?? 1000,
    defaultTtlMs: environment.defaultTtlMs ?? ms(file.defaultTtl) ?? 3_600_000,
    originTimeoutMs: environment.originTimeoutMs ?? ms(file.originTimeoutMs) ?? 5000,
    retryAttempts: environment.retryAttempts ?? file.retryAttempts ?? 3,
    backoffBaseMs: environment.backoffBaseMs ?? ms(file.backoffBaseMs) ?? 100,
    emergencyThresholdMs: environment.emergencyThresholdMs ?? ms(file.emergencyThresholdMs) ?? 2000,
    defaultStrategy: environment.defaultStrategy ?? file.defaultStrategy ?? 'priority',
    jobTimeoutMs: ms(file.jobTimeoutMs) ?? 300_000,
    startupEnabled: environment.startupEnabled ?? file.startup?.enabled ?? false,
    ...settleService(file, environment.jwtSecret),
    ...settleWarmSet(file),
    startupDelayMs: environment.startupDelayMs ?? ms(file.startup?.delayMs) ?? 500,
  }
}
