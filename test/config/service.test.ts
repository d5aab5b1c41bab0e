import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { checkConfig } from '../../src/config/schema.ts'
import { settleService } from '../../src/config/service-settings.ts'
import { type Documented, documentedFields } from './documented.ts'

const defaults = settleService({ rewarm: {} }, undefined)
const { control, rewarm } = defaults

/** Every documented default of what a service adds, and the value that the code has in its place. */
const DEFAULTS: Record<string, unknown[]> = {
  'ControlDefinition.port': [control.port],
  'ControlDefinition.host': [control.host],
  'ControlDefinition.publicMetrics': [control.publicMetrics],
  'ControlDefinition.publicDocs': [control.publicDocs],
  'ControlDefinition.trustedProxies': [control.trustedProxies],
  'ControlDefinition.corsOrigins': [control.corsOrigins],
  'ControlDefinition.rateLimits.status': [control.rateLimits.status],
  'ControlDefinition.rateLimits.warm': [control.rateLimits.warm],
  'ControlDefinition.rateLimits.clear': [control.rateLimits.clear],
  'ControlDefinition.rateLimits.other': [control.rateLimits.other],
  'ControlDefinition.readyNeedsOrigin': [control.readyNeedsOrigin],
  'ControlDefinition.startedDeadline': [control.startedDeadlineMs],
  'RewarmDefinition.below': [rewarm?.below],
  'RewarmDefinition.above': [rewarm?.above],
  'RewarmDefinition.minReads': [rewarm?.minReads],
  'RewarmDefinition.every': [rewarm?.everyMs],
  'ServiceDefinition.shareOriginRps': [defaults.shareOriginRps],
  'ServiceDefinition.events.keysPerSecond': [defaults.keyEventsPerSecond],
  'ServiceDefinition.events.publish': [defaults.publishEvents],
}

const documented = documentedFields('src/config/control.ts')

describe('what a service adds to a configuration', () => {
  for (const [path, expected] of Object.entries(DEFAULTS))
    it(`documented default of ${path} is the code's`, () => assertEquals(documented.get(path)?.defaults, expected))

  it('documented bounds are the code’s', () => {
    const places: Record<string, (value: number) => unknown> = {
      'ControlDefinition.port': (port) => ({ control: { port } }),
      'ControlDefinition.rateLimits.status': (status) => ({ control: { rateLimits: { status } } }),
      'RewarmDefinition.below': (below) => ({ rewarm: { below, above: 1 } }),
      'RewarmDefinition.minReads': (minReads) => ({ rewarm: { minReads } }),
      'ServiceDefinition.events.keysPerSecond': (keysPerSecond) => ({ events: { keysPerSecond } }),
      'ScheduleDefinition.limit': (limit) => ({ schedules: { one: { cron: '* * * * *', limit } } }),
    }
    for (const [path, given] of Object.entries(places)) {
      const [min, max] = (documented.get(path) as Documented).bounds as [number, number]
      for (const fine of [min, max]) checkConfig({ tasks: {}, ...(given(fine) as object) })
      for (const bad of [min - 0.01, max + 1])
        assertThrows(() => checkConfig({ tasks: {}, ...(given(bad) as object) }), Error, String(bad))
    }
  })

  it('settleService takes HS256 where only PREWARM_JWT_SECRET is set, and no tokens without it', () => {
    const secret = 'a'.repeat(32)
    const { jwt } = settleService({}, secret).control
    assertEquals([jwt?.algorithm, jwt?.secret, jwt?.clockToleranceMs], ['HS256', secret, 5000])
    assertEquals(control.jwt, undefined)
    const own = settleService(
      { control: { jwt: { algorithm: 'HS256', secret: 'b'.repeat(32), issuer: 'me' } } },
      secret,
    )
    assertEquals([own.control.jwt?.secret, own.control.jwt?.issuer], ['b'.repeat(32), 'me'])
    const keys = settleService({ control: { jwt: { algorithm: 'ES256', jwksFile: 'keys.json' } } }, secret)
    assertEquals([keys.control.jwt?.secret, keys.control.jwt?.jwksFile], [undefined, 'keys.json'])
  })

  it('checkConfig names what is wrong, and suggests what was meant', () => {
    const mistakes: [unknown, string][] = [
      [{ control: { port: 70_000 } }, 'control.port is 70000, expected a whole number from 0 to 65535'],
      [{ control: { jwt: { algorithm: 'none' } } }, "control.jwt.algorithm is 'none', expected { algorithm: 'HS256'"],
      [{ control: { jwt: { algorithm: 'HS256', jwksUrl: 'https://id' } } }, 'control.jwt.jwksUrl is not a known field'],
      [{ control: { jwt: { algorithm: 'ES256', jwksUrl: 'http://id' } } }, 'control.jwt.jwksUrl is'],
      [
        { control: { rateLimits: { stats: 5 } } },
        "control.rateLimits.stats is not a known field; did you mean 'status'?",
      ],
      [
        { control: { jwt: { algorithm: 'HS256', secrets: 'x' } } },
        "control.jwt.secrets is not a known field; did you mean 'secret'?",
      ],
      [{ schedules: { one: { corn: '* * * * *' } } }, "schedules.one.corn is not a known field; did you mean 'cron'?"],
      [{ schedules: { one: {} } }, 'schedules.one is an object, expected exactly one of cron, interval and preset'],
      [{ schedules: { 'a b': { cron: '* * * * *' } } }, "expected a name of letters, digits, '-' and '_'"],
      [{ rewarm: { below: 0.9, above: 0.5 } }, 'rewarm.above is 0.5, expected at least `below`'],
      [{ rewarm: { below: 85 } }, 'rewarm.below is 85, expected a number from 0 to 1'],
    ]
    for (const [given, expected] of mistakes)
      assertThrows(() => checkConfig({ tasks: {}, ...(given as object) }), Error, expected)
  })
})
