import type { JwtDefinition, ServiceDefinition } from './control.ts'
import { parseDuration } from './duration.ts'

/** What the HTTP API goes by, with every default filled in. Times in ms. */
export interface ControlSettings {
  port: number
  host: string
  /** Absent: only loopback is answered. */
  jwt: JwtSettings | undefined
  publicMetrics: boolean
  publicDocs: boolean
  trustedProxies: readonly string[]
  corsOrigins: readonly string[]
  /** Requests a minute. */
  rateLimits: { status: number; warm: number; clear: number; other: number }
  readyNeedsOrigin: boolean
  startedDeadlineMs: number
}

export interface JwtSettings {
  algorithm: 'HS256' | 'RS256' | 'ES256' | 'EdDSA'
  secret: string | undefined
  jwksUrl: string | undefined
  jwksFile: string | undefined
  issuer: string | undefined
  audience: string | undefined
  clockToleranceMs: number
}

export interface RewarmSettings {
  below: number
  above: number
  minReads: number
  everyMs: number
  tasks: readonly string[] | undefined
  tags: readonly string[] | undefined
}

/** What a service adds to the settings. */
export interface ServiceSettings {
  control: ControlSettings
  /** Absent: never. */
  rewarm: RewarmSettings | undefined
  shareOriginRps: boolean
  keyEventsPerSecond: number
  publishEvents: boolean
}

/** @param jwtSecret what PREWARM_JWT_SECRET holds, if anything */
export function settleService(file: ServiceDefinition, jwtSecret: string | undefined): ServiceSettings {
  const { control = {}, rewarm, events = {} } = file
  const { rateLimits = {} } = control
  return {
    control: {
      port: control.port ?? 4000,
      host: control.host ?? '127.0.0.1',
      jwt: settleJwt(control.jwt ?? (jwtSecret === undefined ? undefined : { algorithm: 'HS256' }), jwtSecret),
      publicMetrics: control.publicMetrics ?? false,
      publicDocs: control.publicDocs ?? false,
      trustedProxies: control.trustedProxies ?? [],
      corsOrigins: control.corsOrigins ?? [],
      rateLimits: {
        status: rateLimits.status ?? 5,
        warm: rateLimits.warm ?? 2,
        clear: rateLimits.clear ?? 2,
        other: rateLimits.other ?? 120,
      },
      readyNeedsOrigin: control.readyNeedsOrigin ?? true,
      startedDeadlineMs: ms(control.startedDeadline) ?? 300_000,
    },
    rewarm:
      rewarm === undefined
        ? undefined
        : {
            below: rewarm.below ?? 0.85,
            above: rewarm.above ?? 0.9,
            minReads: rewarm.minReads ?? 100,
            everyMs: ms(rewarm.every) ?? 60_000,
            tasks: rewarm.tasks,
            tags: rewarm.tags,
          },
    shareOriginRps: file.shareOriginRps ?? false,
    keyEventsPerSecond: events.keysPerSecond ?? 500,
    publishEvents: events.publish ?? true,
  }
}

function settleJwt(jwt: JwtDefinition | undefined, secret: string | undefined): JwtSettings | undefined {
  if (jwt === undefined) return undefined
  const keys = jwt.algorithm === 'HS256' ? undefined : jwt
  return {
    algorithm: jwt.algorithm,
    secret: jwt.algorithm === 'HS256' ? (jwt.secret ?? secret) : undefined,
    jwksUrl: keys?.jwksUrl,
    jwksFile: keys?.jwksFile,
    issuer: jwt.issuer,
    audience: jwt.audience,
    clockToleranceMs: ms(jwt.clockTolerance) ?? 5000,
  }
}

function ms(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : (parseDuration(value) as number)
}
