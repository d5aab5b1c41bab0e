import { createRoute, type z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { parseDuration } from '../../config/duration.ts'
import type { WarmerFacade } from '../../facade.ts'
import type { JobRequest } from '../../types.ts'
import type { ControlEnv } from '../access/index.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, given, json, permit, problems, router, withBody } from '../describe.ts'
import { estimateMs } from '../estimate.ts'
import { knownStrategy } from '../invalid.ts'
import { patience } from '../patience.ts'
import { RequestError } from '../problem.ts'
import { KeysQueued, MatchesQueued } from '../schemas/answers.ts'
import { KeyRequest, PatternRequest, PredictiveRequest } from '../schemas/requests.ts'

/** Keys of an answer that does not name all. */
const SHOWN = 100
const HOUR_MS = 3_600_000

const tags = ['warm']
const keyRoute = createRoute({
  method: 'post',
  path: '/warm/key',
  operationId: 'warmKeys',
  summary: 'Warm these keys',
  tags,
  request: { body: body(KeyRequest) },
  responses: { 202: json(KeysQueued, 'A job warms them'), ...withBody, ...problems(422) },
})
const matchResponses = {
  200: json(MatchesQueued, 'There is nothing to warm, and no job'),
  202: json(MatchesQueued, 'A job warms them'),
  ...withBody,
}
const patternRoute = createRoute({
  method: 'post',
  path: '/warm/pattern',
  operationId: 'warmPattern',
  summary: 'Warm the keys that match a glob',
  description: 'They come from the tasks’ own lists of hot keys, the access log, and SCAN.',
  tags,
  request: { body: body(PatternRequest) },
  responses: matchResponses,
})
const predictiveRoute = createRoute({
  method: 'post',
  path: '/warm/trigger-predictive',
  operationId: 'warmPredicted',
  summary: 'Warm the keys that are likely to be read soon',
  tags,
  request: { body: body(PredictiveRequest) },
  responses: matchResponses,
})

/** POST /warm/key, /warm/pattern, /warm/trigger-predictive */
export function keyRoutes({ warmer, access, signal }: Deps) {
  const middleware = [...permit(access, 'warm:write', 'warm'), ...jsonBody(), patience]
  return router()
    .openapi({ ...keyRoute, middleware }, async (c) => {
      const { keys, ttl, ...rest } = c.req.valid('json')
      knownStrategy(warmer.config, rest)
      const { matched, unmatched } = warmer.tasksOf([...new Set(keys)])
      if (matched.size === 0) {
        throw new RequestError(
          'KEYS_UNMATCHED',
          'None of the keys has a task: see GET /warm/config for what they look like',
          {
            unmatched,
          },
        )
      }
      const ttlMs = ttl === undefined ? undefined : (parseDuration(ttl) as number)
      const job = await submit(c, warmer, matched, { ...given(rest), ...(ttlMs === undefined ? {} : { ttlMs }) })
      return c.json({ ...job, unmatched }, 202)
    })
    .openapi({ ...patternRoute, middleware }, async (c) => {
      const { pattern, limit = 1000, ...rest } = c.req.valid('json')
      knownStrategy(warmer.config, rest)
      const found = await warmer.matching(pattern, limit, AbortSignal.any([c.req.raw.signal, signal]))
      return matches(c, warmer, found, given(rest))
    })
    .openapi({ ...predictiveRoute, middleware }, async (c) => {
      const { limit = 50, windowMs = HOUR_MS } = c.req.valid('json')
      const hot = await warmer.predict({ limit, windowMs })
      return matches(c, warmer, { keys: hot.map(({ key }) => key), truncated: false }, {})
    })
}

async function matches(
  c: Context<ControlEnv>,
  warmer: WarmerFacade,
  { keys, truncated }: { keys: readonly string[]; truncated: boolean },
  request: JobRequest,
) {
  const { matched } = warmer.tasksOf(keys)
  if (matched.size === 0) {
    const none = { success: true, queued: 0, matched_keys: 0, keys: [], truncated, job_id: null, estimated_time_ms: 0 }
    return c.json({ ...none, trace_id: c.get('traceId') }, 200)
  }
  const job = await submit(c, warmer, matched, request)
  return c.json({ ...job, keys: job.keys.slice(0, SHOWN), matched_keys: job.queued, truncated }, 202)
}

/** Begins a job for keys that have tasks; resolves when it is in the list of jobs. */
async function submit(
  c: Context<ControlEnv>,
  warmer: WarmerFacade,
  matched: ReadonlyMap<string, readonly string[]>,
  request: JobRequest,
): Promise<Omit<z.infer<typeof KeysQueued>, 'unmatched'>> {
  const { settings, tasks } = warmer.config
  const status = warmer.status()
  const lists = [...matched]
  const keys = lists.flatMap(([, some]) => some)
  const single = lists.flatMap(([task, some]) => (tasks.get(task)?.kind === 'http' ? some : [])).length
  const job = warmer.submit({ ...request, ...callerOf(c), keys })
  await job.noted
  return {
    success: true,
    queued: keys.length,
    keys,
    job_id: job.id,
    trace_id: job.traceId,
    estimated_time_ms: estimateMs({ ...settings, single, batched: keys.length - single }, status),
  }
}

/** What a job is told of the request that began it. */
export function callerOf(c: Context<ControlEnv>): JobRequest {
  const parentSpanId = c.get('parentSpanId')
  return { source: 'http', traceId: c.get('traceId'), ...(parentSpanId === undefined ? {} : { parentSpanId }) }
}
