import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { resolveConfig } from '../../src/config/load.ts'
import { checkConfig } from '../../src/config/schema.ts'
import { tlsFiles } from '../../src/origin/postgres.ts'
import { httpTask, loadTask, sqlTask } from '../fakes/tasks.ts'
import { documentedFields } from './documented.ts'

const { settings } = resolveConfig({ tasks: {} }, {}, 8)
const [row, keyed, fetched] = [sqlTask(), loadTask(), httpTask()]

/** Every documented default, and the values that the code has in its place, in the order in which the text names them. */
const DEFAULTS: Record<string, unknown[]> = {
  'TaskOptions.ttl': [row.ttlMs],
  'TaskOptions.ttlJitter': [row.ttlJitter],
  'TaskOptions.priority': [sqlTask({ critical: true }).priority, row.priority],
  'TaskOptions.critical': [row.critical],
  'TaskOptions.tags': [row.tags],
  'TaskOptions.params': [row.params.parse({})],
  'TaskOptions.timeoutMs': [row.timeoutMs],
  'TaskOptions.retries': [row.retries],
  'TaskOptions.mode': [sqlTask({ version: 'v' }).mode, row.mode],
  'TaskOptions.batchSize': [keyed.batchSize, row.batchSize],
  'SqlOptions.columns': row.columns === undefined ? [] : [row.columns],
  'LoadOptions.value': [keyed.value],
  'LoadOptions.columns': keyed.columns === undefined ? [] : [keyed.columns],
  'HttpOptions.value': [fetched.value],
  'HttpOptions.columns': fetched.columns === undefined ? [] : [fetched.columns],
  'HttpOptions.method': [fetched.method],
  'HttpOptions.pointer': [fetched.pointer],
  'HttpOptions.maxBytes': [fetched.maxBytes],
  'TlsOptions.rejectUnauthorized': [(tlsFiles({}) as { rejectUnauthorized: boolean }).rejectUnauthorized],
  'ConfigDefinition.redis': settings.redisUrl === undefined ? [] : [settings.redisUrl],
  'ConfigDefinition.database': settings.databaseUrl === undefined ? [] : [settings.databaseUrl],
  'ConfigDefinition.workers': [settings.workers],
  'ConfigDefinition.maxOriginRps': [settings.maxOriginRps],
  'ConfigDefinition.concurrentWarmers': [settings.concurrentWarmers],
  'ConfigDefinition.maxBatchSize': [settings.maxBatchSize],
  'ConfigDefinition.pageRows': [settings.pageRows],
  'ConfigDefinition.defaultTtl': [settings.defaultTtlMs],
  'ConfigDefinition.originTimeoutMs': [settings.originTimeoutMs],
  'ConfigDefinition.retryAttempts': [settings.retryAttempts],
  'ConfigDefinition.backoffBaseMs': [settings.backoffBaseMs],
  'ConfigDefinition.emergencyThresholdMs': [settings.emergencyThresholdMs],
  'ConfigDefinition.defaultStrategy': [settings.defaultStrategy],
  'ConfigDefinition.jobTimeoutMs': [settings.jobTimeoutMs],
  'ConfigDefinition.startup.enabled': [settings.startupEnabled],
  'ConfigDefinition.startup.delayMs': [settings.startupDelayMs],
}

/** A configuration with `value` in that field. */
function configWith(path: string, value: number): unknown {
  const [place, ...names] = path.split('.') as [string, string]
  const field = names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object
  if (place === 'ConfigDefinition') return { tasks: {}, ...field }
  const [kind, rest] =
    place === 'HttpOptions' ? ['http', { url: 'https://h' }] : ['sql', { value: 'hash', query: 'select 1' }]
  return { tasks: { one: { kind, key: 'k:{id}', ...rest, ...field } } }
}

describe('define.ts', () => {
  const documented = [...documentedFields()]
  const withDefault = documented.filter(([, { defaults }]) => defaults !== null)
  const withBounds = documented.filter(([, { bounds }]) => bounds !== null)

  it('documented defaults are all known to this test, and none is lost', () => {
    assertEquals(withDefault.map(([path]) => path).sort(), Object.keys(DEFAULTS).sort())
  })

  for (const [path, { defaults }] of withDefault)
    it(`documented default of ${path} is the code's`, () => assertEquals(defaults, DEFAULTS[path]))

  it('documented bounds are those of the numbers that every run depends on', () => {
    const names = withBounds.map(([path]) => path.split('.').slice(1).join('.'))
    const needed = ['ttlJitter', 'retries', 'workers', 'maxOriginRps', 'concurrentWarmers', 'maxBatchSize']
    assertEquals(
      [...needed, 'pageRows', 'retryAttempts'].filter((name) => !names.includes(name)),
      [],
    )
  })

  for (const [path, { bounds }] of withBounds)
    it(`documented bounds of ${path} are the code's`, () => {
      const [min, max] = bounds as [number, number]
      for (const fine of [min, max]) checkConfig(configWith(path, fine))
      for (const bad of [min - 0.01, max + 1]) assertThrows(() => checkConfig(configWith(path, bad)))
    })
})
