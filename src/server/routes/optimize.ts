import { createRoute, z } from '@hono/zod-openapi'
import type { Optimization } from '../../optimize/types.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, given, json, permit, problems, router, withBody } from '../describe.ts'
import { count } from '../schemas/answers.ts'
import { OptimizeRequest } from '../schemas/requests.ts'

const fromTo = z.strictObject({ from: z.number(), to: z.number() })
const names = () => z.array(z.string())
const Optimized = z
  .strictObject({
    success: z.literal(true),
    tasks_optimized: count().openapi({ description: 'Tasks with at least one change' }),
    changes: z.array(
      z.strictObject({
        task: z.string(),
        schedule: z.string().openapi({ description: 'The one that warms the task now' }),
        field: z.enum(['interval', 'limit', 'ttl', 'priority']),
        from: z.number().nullable().openapi({ description: 'interval and ttl in ms; null: no limit' }),
        to: z.number(),
        reason: z.string(),
      }),
    ),
    expected: z.array(
      z.strictObject({
        task: z.string(),
        hit_rate: fromTo.openapi({ description: 'Of reads of its keys, 0 to 1' }),
        origin_requests_per_hour: fromTo,
        origin_ms_per_hour: fromTo.nullable().openapi({ description: 'Null: no load was measured' }),
      }),
    ),
    unchanged: z.array(z.strictObject({ task: z.string(), reason: z.string() })),
    applied: z
      .strictObject({ added: names(), removed: names(), paused: names(), resumed: names() })
      .nullable()
      .openapi({ description: 'Names of the schedules that were touched; null: nothing was asked for' }),
  })
  .openapi('Optimized')

const optimizeRoute = createRoute({
  method: 'post',
  path: '/warm/optimize',
  operationId: 'optimizeSchedules',
  summary: 'Propose, or register, better schedules',
  description:
    'By what was read, what warming cost and what it was good for. With apply each task that changes gets a schedule of its ' +
    'own, and the one that it had is paused; revert takes that back.',
  tags: ['schedules'],
  request: { body: body(OptimizeRequest) },
  responses: { 200: json(Optimized, 'What is proposed, and what was done'), ...withBody, ...problems(409) },
})

/** POST /warm/optimize */
export function optimizeRoutes({ warmer, access }: Deps) {
  const write = permit(access, 'warm:write', 'other')
  return router().openapi({ ...optimizeRoute, middleware: [...write, ...jsonBody()] }, async (c) => {
    const { apply, revert } = c.req.valid('json')
    return c.json(showOptimization(await warmer.optimizeSchedules(given({ apply, revert }))), 200)
  })
}

function showOptimization({ changes, expected, unchanged, applied, tasksOptimized }: Optimization) {
  return {
    success: true as const,
    tasks_optimized: tasksOptimized,
    changes,
    expected: expected.map(({ task, hitRate, originRequestsPerHour, originMsPerHour }) => ({
      task,
      hit_rate: hitRate,
      origin_requests_per_hour: originRequestsPerHour,
      origin_ms_per_hour: originMsPerHour,
    })),
    unchanged,
    applied,
  }
}
