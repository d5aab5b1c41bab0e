import { createRoute, z } from '@hono/zod-openapi'
import type { Readiness } from '../../facade.ts'
import { type Deps, guarded, json, permit, problems, router } from '../describe.ts'
import { RequestError } from '../problem.ts'

const health = (status: string) => z.strictObject({ status: z.literal(status) })

const tags = ['health']
const open = { tags, security: [] }
const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'isAlive',
  summary: 'The process answers',
  ...open,
  responses: { 200: json(health('ok').openapi('Alive'), 'Alive'), ...problems(500) },
})
const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'isReady',
  summary: 'Redis (and the origin) can be reached',
  ...open,
  responses: { 200: json(health('ready').openapi('Ready'), 'Ready'), ...problems(500, 503) },
})
const startedRoute = createRoute({
  method: 'get',
  path: '/startedz',
  operationId: 'isStarted',
  summary: 'The first warm has finished, or its deadline has passed',
  ...open,
  responses: { 200: json(health('started').openapi('Started'), 'Started'), ...problems(500, 503) },
})
const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  summary: 'Metrics, as Prometheus text',
  tags,
  responses: {
    200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } },
    ...guarded,
  },
})

/** GET /healthz, /readyz, /startedz, /metrics */
export function healthRoutes({ warmer, access }: Deps) {
  const isPublic = warmer.config.settings.control.publicMetrics
  // Anybody may ask, as often as he likes: Redis and the origin are asked once for all who wait.
  let asking: Promise<Readiness> | undefined
  const readiness = () => {
    asking ??= warmer.readiness().finally(() => {
      asking = undefined
    })
    return asking
  }
  return router()
    .openapi(healthRoute, (c) => c.json({ status: 'ok' }, 200))
    .openapi(readyRoute, async (c) => {
      const { ready, failures } = await readiness()
      if (ready) return c.json({ status: 'ready' }, 200)
      // Anybody may ask, so that no message (with an address in it) is told.
      const codes = failures.map(({ code }) => ({ code }))
      const detail = `Not ready: ${codes.map(({ code }) => code).join(', ')}`
      throw new RequestError('NOT_READY', detail, { failures: codes })
    })
    .openapi(startedRoute, (c) => {
      if (!warmer.isWarm) throw new RequestError('NOT_READY', 'The first warm has not finished yet')
      return c.json({ status: 'started' }, 200)
    })
    .openapi({ ...metricsRoute, middleware: isPublic ? [] : permit(access, 'warm:read', 'other') }, async (c) => {
      const { contentType, text } = await warmer.metrics()
      return c.text(text, 200, { 'content-type': contentType })
    })
}
