import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { type ConfigInputs, resolveConfig } from '../../src/config/load.ts'
import { settleService } from '../../src/config/service-settings.ts'
import type { Settings } from '../../src/config/settings.ts'
import { settleWarmSet } from '../../src/config/warm-set.ts'

const settled = (file: Partial<ConfigDefinition> = {}, inputs: ConfigInputs = {}, cores = 8): Settings =>
  resolveConfig({ tasks: {}, ...file }, inputs, cores).settings

interface Source {
  /** The value with nothing given. */
  byDefault: unknown
  file: [Partial<ConfigDefinition>, unknown]
  env?: [Record<string, string>, unknown]
  flag?: [NonNullable<ConfigInputs['flags']>, unknown]
}

const SOURCES: Partial<Record<keyof Settings, Source>> = {
  redisUrl: {
    byDefault: undefined,
    file: [{ redis: 'redis://file' }, 'redis://file'],
    env: [{ REDIS_URL: 'redis://env' }, 'redis://env'],
    flag: [{ redisUrl: 'redis://flag' }, 'redis://flag'],
  },
  databaseUrl: {
    byDefault: undefined,
    file: [{ database: 'postgres://file' }, 'postgres://file'],
    env: [{ DATABASE_URL: 'postgres://env' }, 'postgres://env'],
    flag: [{ databaseUrl: 'postgres://flag' }, 'postgres://flag'],
  },
  redisTls: { byDefault: undefined, file: [{ redisTls: { caFile: 'a' } }, { caFile: 'a' }] },
  databaseTls: { byDefault: undefined, file: [{ databaseTls: { keyFile: 'a' } }, { keyFile: 'a' }] },
  workers: { byDefault: 4, file: [{ workers: 0 }, 0], flag: [{ workers: 2 }, 2] },
  maxOriginRps: { byDefault: 100, file: [{ maxOriginRps: 7 }, 7], env: [{ WARMING_MAX_ORIGIN_RPS: '8' }, 8] },
  concurrentWarmers: {
    byDefault: 10,
    file: [{ concurrentWarmers: 7 }, 7],
    env: [{ WARMING_CONCURRENT_WARMERS: '8' }, 8],
  },
  maxBatchSize: { byDefault: 50, file: [{ maxBatchSize: 7 }, 7], env: [{ WARMING_MAX_BATCH_SIZE: '8' }, 8] },
  pageRows: { byDefault: 1000, file: [{ pageRows: 7 }, 7] },
  defaultTtlMs: { byDefault: 3_600_000, file: [{ defaultTtl: '7s' }, 7000], env: [{ WARMING_DEFAULT_TTL: '8' }, 8000] },
  originTimeoutMs: {
    byDefault: 5000,
    file: [{ originTimeoutMs: '7s' }, 7000],
    env: [{ WARMING_ORIGIN_TIMEOUT: '8' }, 8000],
  },
  retryAttempts: { byDefault: 3, file: [{ retryAttempts: 0 }, 0], env: [{ WARMING_RETRY_ATTEMPTS: '8' }, 8] },
  backoffBaseMs: { byDefault: 100, file: [{ backoffBaseMs: 0 }, 0], env: [{ WARMING_BACKOFF_BASE: '8' }, 8] },
  emergencyThresholdMs: {
    byDefault: 2000,
    file: [{ emergencyThresholdMs: '7s' }, 7000],
    env: [{ WARMING_EMERGENCY_THRESHOLD: '8' }, 8],
  },
  defaultStrategy: {
    byDefault: 'priority',
    file: [{ defaultStrategy: 'breadth' }, 'breadth'],
    env: [{ WARMING_DEFAULT_STRATEGY: 'selective' }, 'selective'],
  },
  jobTimeoutMs: { byDefault: 300_000, file: [{ jobTimeoutMs: '7s' }, 7000] },
  startupEnabled: {
    byDefault: false,
    file: [{ startup: { enabled: true } }, true],
    env: [{ ENABLE_CACHE_WARMING_ON_STARTUP: 'false' }, false],
  },
  startupDelayMs: {
    byDefault: 500,
    file: [{ startup: { delayMs: '7s' } }, 7000],
    env: [{ CACHE_WARMING_STARTUP_DELAY: '0' }, 0],
  },
}

describe('settle', () => {
  for (const [name, { byDefault, file, env, flag }] of Object.entries(SOURCES) as [keyof Settings, Source][]) {
    it(`settle takes ${name} from flag, else environment, else file, else default`, () => {
      assertEquals(settled()[name], byDefault)
      assertEquals(settled(file[0])[name], file[1])
      if (env !== undefined) assertEquals(settled(file[0], { env: env[0] })[name], env[1])
      if (flag !== undefined) assertEquals(settled(file[0], { env: env?.[0] ?? {}, flags: flag[0] })[name], flag[1])
    })
  }

  it('settle knows no other setting', () => {
    const ofService = Object.keys(settleService({}, undefined))
    const ofWarmSet = Object.keys(settleWarmSet({}))
    assertEquals(Object.keys(settled()).sort(), [...Object.keys(SOURCES), ...ofService, ...ofWarmSet].sort())
  })

  it('settle starts no more workers by default than there are cores', () => {
    assertEquals(
      [1, 3, 4, 64].map((cores) => settled({}, {}, cores).workers),
      [1, 3, 4, 4],
    )
  })

  it('settle takes an empty variable for none, also where the file passes it on', () => {
    const env = { REDIS_URL: '', DATABASE_URL: '' }
    const { redisUrl, databaseUrl } = settled({ redis: env.REDIS_URL, database: env.DATABASE_URL }, { env })
    assertEquals([redisUrl, databaseUrl], [undefined, undefined])
  })
})
