import { z } from 'zod'
import { BOUNDS, duration, flag, number, oneOf, text, texts, url } from './fields.ts'

const anyJwt = {
  issuer: text.optional(),
  audience: text.optional(),
  clockTolerance: duration([0, 60_000, false]).optional(),
}

const hmac = z.strictObject({ algorithm: z.literal('HS256'), secret: text.optional(), ...anyJwt })
const publicKey = z.strictObject({
  algorithm: z.enum(['RS256', 'ES256', 'EdDSA']),
  jwksUrl: url('https://', 'http://127.0.0.1', 'http://localhost', 'http://[::1]').optional(),
  jwksFile: text.optional(),
  ...anyJwt,
})
const jwt = z.discriminatedUnion(
  'algorithm',
  [hmac, publicKey],
  "expected { algorithm: 'HS256' | 'RS256' | 'ES256' | 'EdDSA', … }",
)

const rateLimits = z.strictObject(
  {
    status: number(BOUNDS.perMinute).optional(),
    warm: number(BOUNDS.perMinute).optional(),
    clear: number(BOUNDS.perMinute).optional(),
    other: number(BOUNDS.perMinute).optional(),
  },
  'expected { status, warm, clear, other }',
)

const control = z.strictObject(
  {
    port: number(BOUNDS.port).optional(),
    host: text.optional(),
    jwt: jwt.optional(),
    publicMetrics: flag.optional(),
    publicDocs: flag.optional(),
    trustedProxies: texts.optional(),
    corsOrigins: texts.optional(),
    rateLimits: rateLimits.optional(),
    readyNeedsOrigin: flag.optional(),
    startedDeadline: duration(BOUNDS.timeoutMs).optional(),
  },
  'expected { port, host, jwt, … }',
)

const schedule = z
  .strictObject(
    {
      preset: oneOf('daily', 'hourly', 'peaks', 'full').optional(),
      cron: text.optional(),
      interval: duration([1000, 2_147_483_647, false]).optional(),
      timeZone: text.optional(),
      tasks: texts.optional(),
      tags: texts.optional(),
      critical: flag.optional(),
      predictive: flag.optional(),
      limit: number(BOUNDS.count).optional(),
      priority: number([-1_000_000, 1_000_000, false]).optional(),
      params: z.record(z.string(), z.unknown()).optional(),
      jitter: duration(BOUNDS.delayMs).optional(),
      catchUp: flag.optional(),
    },
    'expected { cron, tasks, … }',
  )
  .refine(({ preset, cron, interval }) => [preset, cron, interval].filter((one) => one !== undefined).length === 1, {
    message: 'expected exactly one of cron, interval and preset',
  })

const rewarm = z
  .strictObject(
    {
      below: number(BOUNDS.share).optional(),
      above: number(BOUNDS.share).optional(),
      minReads: number(BOUNDS.count).optional(),
      every: duration([1000, 86_400_000, false]).optional(),
      tasks: texts.optional(),
      tags: texts.optional(),
    },
    'expected { below, above, minReads, every }',
  )
  .refine(({ below = 0.85, above = 0.9 }) => above >= below, {
    path: ['above'],
    message: 'expected at least `below` (0.85 unless given)',
  })

const events = z.strictObject(
  { keysPerSecond: number(BOUNDS.keyEvents).optional(), publish: flag.optional() },
  'expected { keysPerSecond, publish }',
)

/** The fields that a service adds to a configuration. */
export const controlShape = {
  control: control.optional(),
  schedules: z
    .record(
      z.string().regex(/^[\w-]{1,64}$/, "expected a name of letters, digits, '-' and '_'"),
      schedule,
      'expected schedules by name',
    )
    .optional(),
  rewarm: rewarm.optional(),
  shareOriginRps: flag.optional(),
  events: events.optional(),
}

/** The fields that a service's part of the configuration may have at `path`; null: it is no such part. */
export function serviceFieldsAt(path: readonly string[], given: unknown): string[] | null {
  const [top, inner] = path
  if (top === 'schedules') return Object.keys(schedule.shape)
  if (top === 'rewarm') return Object.keys(rewarm.shape)
  if (top === 'events') return Object.keys(events.shape)
  if (top !== 'control') return null
  if (inner === 'rateLimits') return Object.keys(rateLimits.shape)
  if (inner !== 'jwt') return Object.keys(control.shape)
  const { algorithm } = (given as { control: { jwt: { algorithm?: unknown } } }).control.jwt
  return Object.keys(algorithm === 'HS256' ? hmac.shape : publicKey.shape)
}
