import { createRoute } from '@hono/zod-openapi'
import { isOwnKey } from '../../keyspace/known.ts'
import { refusedTime, type ToldReads } from '../../learn/told.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, json, permit, router, withBody } from '../describe.ts'
import { AccessRequest, AccessTaken, MAX_REASONS } from '../schemas/access.ts'

/** Bytes of a body: ten thousand keys of usual length. */
export const MAX_ACCESS_BYTES = 1_048_576

const accessRoute = createRoute({
  method: 'post',
  path: '/access',
  operationId: 'recordReads',
  summary: 'Tell which keys an application has read',
  description:
    'For applications in other languages: strategies, prediction and the memory guard go by these reads. Send them in batches, every few seconds. They are for ranking: a request that is sent again may count twice.',
  tags: ['warm'],
  request: { body: body(AccessRequest) },
  responses: { 202: json(AccessTaken, 'They are counted'), ...withBody },
})

/** POST /access */
export function accessRoutes({ warmer, access, clock }: Deps) {
  const middleware = [...permit(access, 'warm:write', 'other'), ...jsonBody({ maxBytes: MAX_ACCESS_BYTES })]
  return router().openapi({ ...accessRoute, middleware }, async (c) => {
    const nowMs = clock.nowMs()
    const taken: ToldReads[] = []
    const reasons: { index: number; reason: string }[] = []
    for (const [index, { key, count = 1, at = nowMs, tier }] of c.req.valid('json').reads.entries()) {
      const atMs = typeof at === 'number' ? Math.floor(at) : Date.parse(at)
      const wrongTime = refusedTime(atMs, nowMs)
      if (isOwnKey(key)) reasons.push({ index, reason: "key is one of prewarm's own" })
      else if (wrongTime !== null) reasons.push({ index, reason: `at ${wrongTime}` })
      else taken.push({ key, count, atMs, tier })
    }
    if (taken.length > 0) await warmer.recordReads(taken)
    const told = reasons.slice(0, MAX_REASONS)
    return c.json({ success: true as const, accepted: taken.length, rejected: reasons.length, reasons: told }, 202)
  })
}
