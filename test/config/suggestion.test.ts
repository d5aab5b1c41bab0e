import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { checkConfig } from '../../src/config/schema.ts'

const KINDS = {
  sql: { kind: 'sql', key: 'k:{id}', value: 'hash', query: 'select 1' },
  load: { kind: 'load', key: 'k:{id}', load() {} },
  http: { kind: 'http', key: 'k:{id}', url: 'https://origin.example/{id}' },
}
type Place = keyof typeof KINDS | 'top' | 'startup' | 'redisTls' | 'control' | 'rewarm' | 'events'

const COMMON = ['key', 'ttl', 'ttlJitter', 'priority', 'critical', 'tags', 'params', 'timeoutMs', 'retries', 'mode']
const TASK = [...COMMON, 'version', 'schedule', 'batchSize', 'columns', 'value']
const FIELDS: Record<Place, string[]> = {
  sql: [...TASK, 'query', 'orderBy'],
  load: [...TASK, 'select', 'load'],
  http: [...TASK, 'select', 'url', 'method', 'headers', 'pointer', 'maxBytes'],
  top: [
    ...['redis', 'redisTls', 'database', 'databaseTls', 'tasks', 'workers', 'maxOriginRps', 'concurrentWarmers'],
    ...['maxBatchSize', 'pageRows', 'defaultTtl', 'originTimeoutMs', 'retryAttempts', 'backoffBaseMs'],
    ...['emergencyThresholdMs', 'defaultStrategy', 'jobTimeoutMs', 'startup'],
    ...['control', 'schedules', 'rewarm', 'shareOriginRps', 'events'],
  ],
  startup: ['enabled', 'delayMs'],
  control: [
    ...['port', 'host', 'jwt', 'publicMetrics', 'publicDocs', 'trustedProxies', 'corsOrigins', 'rateLimits'],
    ...['readyNeedsOrigin', 'startedDeadline'],
  ],
  rewarm: ['below', 'above', 'minReads', 'every', 'tasks', 'tags'],
  events: ['keysPerSecond', 'publish'],
  redisTls: ['caFile', 'certFile', 'keyFile', 'rejectUnauthorized'],
}

/** What is said of the unknown field `name`. */
function saidOf(place: Place, name: string): string {
  const unknown = { [name]: 'x' }
  const config =
    place === 'top'
      ? { tasks: {}, ...unknown }
      : place in KINDS
        ? { tasks: { one: { ...KINDS[place as keyof typeof KINDS], ...unknown } } }
        : { tasks: {}, [place]: unknown }
  const path = place === 'top' ? name : place in KINDS ? `tasks.one.${name}` : `${place}.${name}`
  const { message } = assertThrows(() => checkConfig(config)) as Error
  const start = `${path} is not a known field`
  assert(message.startsWith(start), message)
  return message.slice(start.length)
}

const meant = (name: string) => `; did you mean '${name}'?`

/** What was typed, and what was meant. */
const TYPED: [Place, string, string][] = [
  ['sql', 'tag', 'tags'],
  ['sql', 'tll', 'ttl'],
  ['sql', 'orderby', 'orderBy'],
  ['sql', 'timeout', 'timeoutMs'],
  ['sql', 'batch', 'batchSize'],
  ['sql', 'colums', 'columns'],
  ['http', 'header', 'headers'],
  ['http', 'uri', 'url'],
  ['top', 'maxOriginRp', 'maxOriginRps'],
  ['top', 'defaultTTL', 'defaultTtl'],
  ['top', 'databaseUrl', 'database'],
  ['top', 'task', 'tasks'],
  ['startup', 'delay', 'delayMs'],
  ['startup', 'enable', 'enabled'],
  ['redisTls', 'ca', 'caFile'],
]

describe('checkConfig, did you mean', () => {
  for (const [place, typed, name] of TYPED)
    it(`checkConfig suggests '${name}' for '${typed}' (${place})`, () =>
      assertEquals(saidOf(place, typed), meant(name)))

  for (const [place, names] of Object.entries(FIELDS) as [Place, string[]][])
    it(`checkConfig suggests each field of ${place} when its last letter is doubled`, () => {
      const said = names.map((name) => saidOf(place, `${name}${name.at(-1)}`))
      assertEquals(said, names.map(meant))
    })

  it('checkConfig suggests nothing where nothing is near', () => {
    for (const place of Object.keys(FIELDS) as Place[]) assertEquals(saidOf(place, 'xylophone'), '')
  })

  it('checkConfig never suggests a field that the place does not have', () => {
    const all = [...new Set(Object.values(FIELDS).flat())]
    for (const place of Object.keys(FIELDS) as Place[]) {
      for (const name of all.filter((one) => !FIELDS[place].includes(one))) {
        const suggested = /'(\w+)'/.exec(saidOf(place, name))?.[1]
        assert(suggested === undefined || FIELDS[place].includes(suggested), `${place}: ${name} -> ${suggested}`)
      }
    }
  })
})
