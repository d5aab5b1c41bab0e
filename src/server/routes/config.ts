import { createRoute, z } from '@hono/zod-openapi'
import { parseDuration } from '../../config/duration.ts'
import type { Config } from '../../config/load.ts'
import type { Changes } from '../../facade.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, given, guarded, json, permit, router, withBody } from '../describe.ts'
import { knownStrategy, refused } from '../invalid.ts'
import { count, ms } from '../schemas/answers.ts'
import { ConfigChanges } from '../schemas/requests.ts'

const RunningConfig = z
  .strictObject({
    max_origin_rps: z.number(),
    concurrent_warmers: count(),
    max_batch_size: count(),
    default_ttl: ms(),
    origin_timeout: ms(),
    retry_attempts: count(),
    backoff_base: ms(),
    emergency_threshold: ms(),
    default_strategy: z.string(),
    workers: count(),
    page_rows: count(),
    job_timeout: ms(),
    share_origin_rps: z.boolean(),
    startup: z.strictObject({ enabled: z.boolean(), delay: ms() }),
    tasks: z.array(
      z.strictObject({
        name: z.string(),
        key: z.string(),
        kind: z.enum(['sql', 'load', 'http']),
        mode: z.enum(['overwrite', 'add', 'newer']),
        ttl: ms(),
        priority: z.number(),
        critical: z.boolean(),
        tags: z.array(z.string()),
        params: z.array(z.string()),
      }),
    ),
  })
  .openapi('RunningConfig', { description: 'What runs now. Durations are ms; it holds no address and no secret.' })

const tags = ['config']
const getRoute = createRoute({
  method: 'get',
  path: '/warm/config',
  operationId: 'getConfig',
  summary: 'The running configuration',
  tags,
  responses: { 200: json(RunningConfig, 'Now'), ...guarded },
})
const changeRoute = createRoute({
  method: 'post',
  path: '/warm/config',
  operationId: 'changeConfig',
  summary: 'Change settings while it runs',
  description:
    'What is left out stays as it is. One bad value, and nothing is changed. Takes effect with the next batch.',
  tags,
  request: { body: body(ConfigChanges) },
  responses: { 200: json(RunningConfig, 'As it is now'), ...withBody },
})

/** GET and POST /warm/config */
export function configRoutes({ warmer, access }: Deps) {
  return router()
    .openapi({ ...getRoute, middleware: permit(access, 'warm:read', 'other') }, (c) =>
      c.json(showConfig(warmer.config), 200),
    )
    .openapi({ ...changeRoute, middleware: [...permit(access, 'warm:write', 'other'), ...jsonBody()] }, async (c) => {
      const request = c.req.valid('json')
      const changes = changesOf(request)
      const isEmpty = Object.keys(changes).length === 0
      knownStrategy(warmer.config, request, 'default_strategy')
      try {
        return c.json(showConfig(isEmpty ? warmer.config : await warmer.retune(changes)), 200)
      } catch (error) {
        throw refused(error, request)
      }
    })
}

function changesOf(request: z.infer<typeof ConfigChanges>): Changes {
  const msOf = (value: number | string | undefined) =>
    value === undefined ? undefined : (parseDuration(value) as number)
  return given({
    maxOriginRps: request.max_origin_rps,
    concurrentWarmers: request.concurrent_warmers,
    maxBatchSize: request.max_batch_size,
    defaultTtlMs: msOf(request.default_ttl),
    originTimeoutMs: msOf(request.origin_timeout),
    retryAttempts: request.retry_attempts,
    backoffBaseMs: msOf(request.backoff_base),
    emergencyThresholdMs: msOf(request.emergency_threshold),
    defaultStrategy: request.default_strategy,
    workers: request.workers,
  })
}

function showConfig({ settings, tasks }: Config): z.infer<typeof RunningConfig> {
  return {
    max_origin_rps: settings.maxOriginRps,
    concurrent_warmers: settings.concurrentWarmers,
    max_batch_size: settings.maxBatchSize,
    default_ttl: settings.defaultTtlMs,
    origin_timeout: settings.originTimeoutMs,
    retry_attempts: settings.retryAttempts,
    backoff_base: settings.backoffBaseMs,
    emergency_threshold: settings.emergencyThresholdMs,
    default_strategy: settings.defaultStrategy,
    workers: settings.workers,
    page_rows: settings.pageRows,
    job_timeout: settings.jobTimeoutMs,
    share_origin_rps: settings.shareOriginRps,
    startup: { enabled: settings.startupEnabled, delay: settings.startupDelayMs },
    tasks: [...tasks.values()].map((task) => ({
      name: task.name,
      key: task.key.source,
      kind: task.kind,
      mode: task.mode,
      ttl: task.ttlMs,
      priority: task.priority,
      critical: task.critical,
      tags: [...task.tags],
      params: [...task.params.names],
    })),
  }
}
