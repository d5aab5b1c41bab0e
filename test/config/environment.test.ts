import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { type EnvironmentSettings, ownVariables, readEnvironment } from '../../src/config/environment.ts'
import { PrewarmError } from '../../src/errors.ts'

interface Variable {
  sets: keyof EnvironmentSettings
  /** Text and what it means; bounds are among them. */
  taken: Record<string, unknown>
  refused: string[]
  expected: string
}

const FLAGS = { true: true, TRUE: true, 1: true, yes: true, on: true, false: false, 0: false, no: false, Off: false }
const NO_NUMBERS = ['x', '-1', '1e3', '0x10', '5ms', '1,5', 'NaN', 'Infinity', ' ']

const VARIABLES: Record<string, Variable> = {
  REDIS_URL: {
    sets: 'redisUrl',
    taken: { 'redis://h:1/2': 'redis://h:1/2', 'rediss://u:p@h': 'rediss://u:p@h' },
    refused: ['localhost:6379', 'http://h', 'Redis'],
    expected: 'a URL that starts with redis:// or rediss://',
  },
  DATABASE_URL: {
    sets: 'databaseUrl',
    taken: { 'postgres://h/d': 'postgres://h/d', 'postgresql://h/d': 'postgresql://h/d' },
    refused: ['mysql://h/d', 'd'],
    expected: 'a URL that starts with postgres:// or postgresql://',
  },
  ENABLE_CACHE_WARMING_ON_STARTUP: {
    sets: 'startupEnabled',
    taken: FLAGS,
    refused: ['2', 'y', 'enabled'],
    expected: 'true or false',
  },
  CACHE_WARMING_STARTUP_DELAY: {
    sets: 'startupDelayMs',
    taken: { '0': 0, '500': 500, '86400000': 86_400_000 },
    refused: [...NO_NUMBERS, '86400001'],
    expected: 'a number from 0 to 86400000',
  },
  WARMING_MAX_ORIGIN_RPS: {
    sets: 'maxOriginRps',
    taken: { '0.1': 0.1, '100': 100, '1000000': 1_000_000 },
    refused: [...NO_NUMBERS, '0', '0.09', '1000001'],
    expected: 'a number from 0.1 to 1000000',
  },
  WARMING_CONCURRENT_WARMERS: {
    sets: 'concurrentWarmers',
    taken: { '1': 1, '10': 10, '1000': 1000 },
    refused: [...NO_NUMBERS, '0', '1.5', '1001'],
    expected: 'a whole number from 1 to 1000',
  },
  WARMING_MAX_BATCH_SIZE: {
    sets: 'maxBatchSize',
    taken: { '1': 1, '50': 50, '10000': 10_000 },
    refused: [...NO_NUMBERS, '0', '2.5', '10001'],
    expected: 'a whole number from 1 to 10000',
  },
  WARMING_DEFAULT_TTL: {
    sets: 'defaultTtlMs',
    taken: { '3600': 3_600_000, '0.001': 1, '1.001': 1001, '31536000': 31_536_000_000 },
    refused: [...NO_NUMBERS, '0', '31536001'],
    expected: 'a number from 0.001 to 31536000 (seconds)',
  },
  WARMING_ORIGIN_TIMEOUT: {
    sets: 'originTimeoutMs',
    taken: { '5': 5000, '0.25': 250, '86400': 86_400_000 },
    refused: [...NO_NUMBERS, '0', '86401'],
    expected: 'a number from 0.001 to 86400 (seconds)',
  },
  WARMING_RETRY_ATTEMPTS: {
    sets: 'retryAttempts',
    taken: { '0': 0, '3': 3, '20': 20 },
    refused: [...NO_NUMBERS, '0.5', '21'],
    expected: 'a whole number from 0 to 20',
  },
  WARMING_BACKOFF_BASE: {
    sets: 'backoffBaseMs',
    taken: { '0': 0, '100': 100, '86400000': 86_400_000 },
    refused: [...NO_NUMBERS, '86400001'],
    expected: 'a number from 0 to 86400000',
  },
  WARMING_EMERGENCY_THRESHOLD: {
    sets: 'emergencyThresholdMs',
    taken: { '1': 1, '2000': 2000, '86400000': 86_400_000 },
    refused: [...NO_NUMBERS, '0', '86400001'],
    expected: 'a number from 1 to 86400000',
  },
  WARMING_DEFAULT_STRATEGY: {
    sets: 'defaultStrategy',
    taken: { selective: 'selective', breadth: 'breadth', priority: 'priority' },
    refused: ['fast', 'Priority'],
    expected: 'one of selective, breadth, priority',
  },
}

const set = (settings: EnvironmentSettings) =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

describe('readEnvironment', () => {
  for (const [name, { sets, taken, refused, expected }] of Object.entries(VARIABLES)) {
    it(`readEnvironment reads ${name} into ${sets}, and nothing else`, () => {
      for (const [text, value] of Object.entries(taken))
        assertEquals(set(readEnvironment({ [name]: text })), { [sets]: value })
    })

    it(`readEnvironment takes an empty ${name} for none`, () => {
      assertEquals(set(readEnvironment({ [name]: '' })), {})
    })

    for (const text of refused) {
      it(`readEnvironment refuses ${name}='${text}'`, () => {
        const error = assertThrows(() => readEnvironment({ [name]: text }), PrewarmError)
        assertEquals(error.message, `Environment variable ${name} is '${text}', expected ${expected}`)
        assertEquals(error.code, 'CONFIG_INVALID')
      })
    }
  }

  it('readEnvironment knows no other variable', () => {
    assertEquals(
      Object.keys(readEnvironment({})).sort(),
      Object.values(VARIABLES)
        .map(({ sets }) => sets)
        .concat('jwtSecret')
        .sort(),
    )
    assertEquals(set(readEnvironment({ PATH: '/bin', REDIS: 'x' })), {})
  })

  it('readEnvironment reads PREWARM_JWT_SECRET as it is; workers are not told', () => {
    const env = { PREWARM_JWT_SECRET: 'x'.repeat(32) }
    assertEquals(set(readEnvironment(env)), { jwtSecret: 'x'.repeat(32) })
    assertEquals(ownVariables(env), {})
  })

  it('readEnvironment shows no password', () => {
    const error = assertThrows(() => readEnvironment({ REDIS_URL: 'http://u:s3cret@h' }), PrewarmError)
    assertEquals(error.message.includes('s3cret'), false)
  })
})

describe('ownVariables', () => {
  it('ownVariables keeps what is prewarm’s, and nothing that is not', () => {
    const mine = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, 'x']))
    const others = { PATH: '/bin', HOME: '/', AWS_SECRET: 's', MY_REDIS_URL: 'x', REDIS_URL_2: 'x' }
    assertEquals(ownVariables({ ...mine, ...others, WARMING_UNSET: undefined }), mine)
  })
})
