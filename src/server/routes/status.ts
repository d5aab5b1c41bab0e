import { createRoute } from '@hono/zod-openapi'
import { type Deps, guarded, json, permit, router } from '../describe.ts'
import { Status } from '../schemas/answers.ts'
import { showStatus } from '../show.ts'

const statusRoute = createRoute({
  method: 'get',
  path: '/warm/status',
  operationId: 'getStatus',
  summary: 'What runs now, and sums since the process began',
  tags: ['status'],
  responses: { 200: json(Status, 'Now'), ...guarded },
})

/** GET /warm/status */
export function statusRoutes({ warmer, access }: Deps) {
  return router().openapi({ ...statusRoute, middleware: permit(access, 'warm:read', 'status') }, (c) =>
    c.json(showStatus(warmer.status()), 200),
  )
}
