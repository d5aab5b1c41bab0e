import { createRoute } from '@hono/zod-openapi'
import { jsonBody } from '../body.ts'
import { type Deps, json, permit, problems, router } from '../describe.ts'
import { Halted, Resumed } from '../schemas/answers.ts'
import { StopRequest } from '../schemas/requests.ts'

const tags = ['emergency']
const failures = problems(401, 403, 500, 503)
const stopRoute = createRoute({
  method: 'post',
  path: '/warm/stop',
  operationId: 'stop',
  summary: 'Emergency stop: after the answer no worker writes',
  description: 'A body is optional. Never rate limited.',
  tags,
  request: { body: { content: { 'application/json': { schema: StopRequest } } } },
  responses: {
    200: json(Halted, 'No worker writes any more'),
    202: json(Halted, 'Nothing begins any more, but a worker has not confirmed yet that it stopped'),
    ...failures,
    ...problems(400, 413, 415),
  },
})
const resumeRoute = createRoute({
  method: 'post',
  path: '/warm/resume',
  operationId: 'resume',
  summary: 'Go on after an emergency stop',
  description: 'Also after one that the origin brought about. Takes no body. Never rate limited.',
  tags,
  responses: { 200: json(Resumed, 'Queued batches go on'), ...failures },
})

/** POST /warm/stop, /warm/resume */
export function emergencyRoutes({ warmer, access }: Deps) {
  const write = permit(access, 'warm:write')
  const isStopped = () => warmer.status().emergency.state !== 'none'
  return router()
    .openapi({ ...stopRoute, middleware: [...write, ...jsonBody({ optional: true })] }, async (c) => {
      const { reason } = c.req.valid('json')
      const { settled, halted } = await warmer.halt(reason)
      return c.json({ success: settled, settled, halted, emergency_stop: isStopped() }, settled ? 200 : 202)
    })
    .openapi({ ...resumeRoute, middleware: write }, (c) => {
      warmer.resume()
      return c.json({ success: true as const, emergency_stop: isStopped() }, 200)
    })
}
