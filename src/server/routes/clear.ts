import { createRoute } from '@hono/zod-openapi'
import { jsonBody } from '../body.ts'
import { body, type Deps, json, permit, problems, router, withBody } from '../describe.ts'
import { patience } from '../patience.ts'
import { Cleared } from '../schemas/answers.ts'
import { ClearRequest } from '../schemas/requests.ts'

const clearRoute = createRoute({
  method: 'post',
  path: '/warm/clear',
  operationId: 'clear',
  summary: 'Delete keys of known keyspaces',
  tags: ['warm'],
  request: { body: body(ClearRequest) },
  responses: { 200: json(Cleared, 'They are deleted; with dryRun, they would be'), ...withBody, ...problems(422) },
})

/** POST /warm/clear */
export function clearRoutes({ warmer, access, signal }: Deps) {
  const middleware = [...permit(access, 'warm:write', 'clear'), ...jsonBody(), patience]
  return router().openapi({ ...clearRoute, middleware }, async (c) => {
    const { pattern, task, dryRun = false } = c.req.valid('json')
    const what = pattern === undefined ? { task: task as string } : { pattern }
    const {
      matched,
      deleted,
      sample,
      dryRun: wasDry,
    } = await warmer.clear(what, {
      dryRun,
      signal: AbortSignal.any([c.req.raw.signal, signal]),
    })
    return c.json({ success: true as const, matched, deleted, sample, dry_run: wasDry }, 200)
  })
}
