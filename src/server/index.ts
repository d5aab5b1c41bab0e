import { OpenAPIHono } from '@hono/zod-openapi'
import { getLogger } from '@logtape/logtape'
import { type Clock, systemClock } from '../clock.ts'
import { sharedRateCounter } from '../coordination/rate-counter.ts'
import { redact } from '../errors.ts'
import type { WarmerFacade } from '../facade.ts'
import { currentRuntime } from '../runtime/index.ts'
import { type Access, type ControlEnv, createAccess } from './access/index.ts'
import type { Deps } from './describe.ts'
import { type Plan, planOf } from './plan.ts'
import { answerError } from './problem.ts'
import { accessRoutes } from './routes/access.ts'
import { clearRoutes } from './routes/clear.ts'
import { configRoutes } from './routes/config.ts'
import { docRoutes } from './routes/docs.ts'
import { emergencyRoutes } from './routes/emergency.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { keyRoutes } from './routes/keys.ts'
import { optimizeRoutes } from './routes/optimize.ts'
import { predictRoutes } from './routes/predict.ts'
import { runRoutes } from './routes/run.ts'
import { scheduleRoutes } from './routes/schedules.ts'
import { statusRoutes } from './routes/status.ts'
import { trace } from './trace.ts'
import { refuseTheRest } from './unknown.ts'

export interface ControlOptions {
  /** Who may call, and how often. @default tokens and limits as the warmer's `control` settings say */
  access?: Access
  /** When it aborts, event streams end: abort it before the server is stopped. */
  signal?: AbortSignal
  /** What a request would do, for `dryRun`. @default as `prewarm plan` says */
  plan?: Plan
  /** @default the system's */
  clock?: Clock
  /** For the sampling of key events, 0 to 1. @default Math.random */
  random?: () => number
  /** Told of failures that are answered with 500. @default logs them */
  onError?: (error: unknown, traceId: string) => void
}

const log = getLogger(['prewarm', 'server'])

/**
 * The HTTP API of a warmer, as a Hono app. It answers every path below where it is mounted, so give it one of its own:
 * `app.route('/api/admin/cache-warm', controlPlane(warmer))`.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` where `control.jwt` can't be used
 */
export function controlPlane(
  warmer: WarmerFacade,
  {
    clock = systemClock(() => currentRuntime().nowNs()),
    access = createAccess({
      settings: warmer.config.settings.control,
      counter: sharedRateCounter(warmer.commands, clock),
      clock,
    }),
    signal = new AbortController().signal,
    plan = planOf(warmer),
    random = Math.random,
    onError = (error, traceId) =>
      log.error('{error}', {
        error: redact(error instanceof Error ? (error.stack ?? error.message) : String(error)),
        traceId,
      }),
  }: ControlOptions = {},
) {
  const deps: Deps = { warmer, access, clock, random, signal, plan }
  const app = new OpenAPIHono<ControlEnv>()
  app.onError(answerError(onError))
  app.use(trace)
  app.use(access.guard)
  const described = app
    .route('/', keyRoutes(deps))
    .route('/', predictRoutes(deps))
    .route('/', runRoutes(deps))
    .route('/', jobRoutes(deps))
    .route('/', statusRoutes(deps))
    .route('/', configRoutes(deps))
    .route('/', clearRoutes(deps))
    .route('/', emergencyRoutes(deps))
    .route('/', scheduleRoutes(deps))
    .route('/', optimizeRoutes(deps))
    .route('/', eventRoutes(deps))
    .route('/', accessRoutes(deps))
    .route('/', healthRoutes(deps))
  app.route('/', docRoutes(deps, app))
  refuseTheRest(app)
  return described
}

/** For `hono/client`: `hc<ControlPlane>('http://127.0.0.1:4000')`. */
export type ControlPlane = ReturnType<typeof controlPlane>
