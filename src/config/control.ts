import type { Duration } from './duration.ts'

/** How callers of the HTTP API prove who they are. */
export type JwtDefinition =
  | {
      algorithm: 'HS256'
      /** At least 32 bytes. @default PREWARM_JWT_SECRET */
      secret?: string
      /** Expected `iss`. @default not checked */
      issuer?: string
      /** Expected `aud`. @default not checked */
      audience?: string
      /** Leeway for clocks that differ, ms or text, 0 to 60_000. @default 5000 */
      clockTolerance?: Duration
    }
  | {
      algorithm: 'RS256' | 'ES256' | 'EdDSA'
      /** Where the public keys are fetched; https, or http on loopback. */
      jwksUrl?: string
      /** A file with the public keys, as a JWK Set. */
      jwksFile?: string
      issuer?: string
      audience?: string
      clockTolerance?: Duration
    }

/** The HTTP API. */
export interface ControlDefinition {
  /** For `prewarm serve`; 0: a free one. 0 to 65_535. @default 4000 */
  port?: number
  /** For `prewarm serve`. @default '127.0.0.1' */
  host?: string
  /** @default HS256 with PREWARM_JWT_SECRET where that is set; else none, and only loopback is answered */
  jwt?: JwtDefinition
  /** Serve /metrics without a token. @default false */
  publicMetrics?: boolean
  /** Serve /docs and /openapi.json without a token. @default false */
  publicDocs?: boolean
  /** Addresses or CIDR ranges whose `X-Forwarded-For` is believed. @default [] */
  trustedProxies?: readonly string[]
  /** Origins that browsers may call from. @default [] */
  corsOrigins?: readonly string[]
  /** Requests a minute for each subject. */
  rateLimits?: {
    /** GET /warm/status. 1 to 1_000_000. @default 5 */
    status?: number
    /** POST /warm/run, key, pattern and trigger-predictive, each. 1 to 1_000_000. @default 2 */
    warm?: number
    /** POST /warm/clear. 1 to 1_000_000. @default 2 */
    clear?: number
    /** Every other route, together. 1 to 1_000_000. @default 120 */
    other?: number
  }
  /** /readyz also asks Postgres. @default true */
  readyNeedsOrigin?: boolean
  /** /startedz turns good after this long even if the first warm has not finished. @default '5m' */
  startedDeadline?: Duration
}

/** What to warm by itself, and when. One of `cron`, `interval` and `preset`. */
export interface ScheduleDefinition {
  /** `daily` 02:00 critical and predicted; `hourly` top 50 predicted; `peaks` 07:00, 11:00, 17:00 top 100 at high priority; `full` everything every 30 min. */
  preset?: 'daily' | 'hourly' | 'peaks' | 'full'
  /** Cron expression, five or six fields. */
  cron?: string
  /** Time between two runs, ms or text; at least 1 s. */
  interval?: Duration
  /** IANA name, such as 'Europe/Berlin'. @default 'UTC' */
  timeZone?: string
  tasks?: readonly string[]
  tags?: readonly string[]
  critical?: boolean
  /** Warm what is predicted to be hot. @default false */
  predictive?: boolean
  /** At most this many keys of each task, and of the prediction. 1 to 1_000_000. */
  limit?: number
  priority?: number
  params?: Record<string, unknown>
  /** Each run begins up to this much later, at random. @default 0 */
  jitter?: Duration
  /** After a start, run once for a run that was missed. @default false */
  catchUp?: boolean
}

/** Warm again when readers stop finding what they look for. */
export interface RewarmDefinition {
  /** Warm when the hit rate falls below this. 0 to 1. @default 0.85 */
  below?: number
  /** Not again before it has been above this. 0 to 1. @default 0.9 */
  above?: number
  /** Reads that a verdict needs. 1 to 1_000_000. @default 100 */
  minReads?: number
  /** How often the hit rate is looked at. @default '1m' */
  every?: Duration
  /** What to warm. @default everything declared */
  tasks?: readonly string[]
  tags?: readonly string[]
}

/** What a service adds to a configuration. */
export interface ServiceDefinition {
  control?: ControlDefinition
  /** By name. A task's own `schedule` counts as one more, of the task's name. */
  schedules?: Record<string, ScheduleDefinition>
  rewarm?: RewarmDefinition
  /** Instances share one `maxOriginRps`, through Redis. @default false */
  shareOriginRps?: boolean
  events?: {
    /** At most this many events of single keys a second; the rest is only counted, in the batch's event. 0 to 100_000. @default 500 */
    keysPerSecond?: number
    /** A service publishes its events on Redis' channel `prewarm:events`. @default true */
    publish?: boolean
  }
}
