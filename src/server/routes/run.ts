import { createRoute, z } from '@hono/zod-openapi'
import type { Context, TypedResponse } from 'hono'
import { parseDuration } from '../../config/duration.ts'
import { PrewarmError } from '../../errors.ts'
import type { JobHandle } from '../../job/job.ts'
import type { JobRequest } from '../../types.ts'
import type { ControlEnv } from '../access/index.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, given, json, permit, problems, router, withBody } from '../describe.ts'
import { knownStrategy } from '../invalid.ts'
import { patience } from '../patience.ts'
import { JobEnded, JobStarted, Planned } from '../schemas/answers.ts'
import { RunRequest } from '../schemas/requests.ts'
import { showJobDetail, showPlan } from '../show.ts'
import { callerOf } from './keys.ts'

/** Servers close a connection that is silent; JSON may begin with blanks. */
const BLANK_EVERY_MS = 4000

const Ended = z.union([JobEnded, Planned])

const runRoute = createRoute({
  method: 'post',
  path: '/warm/run',
  operationId: 'run',
  summary: 'Run tasks, as the command prewarm run does',
  description:
    'With `wait` the answer may begin with blanks, which keep the connection open. Leaving does not cancel the job.',
  tags: ['warm'],
  request: { body: body(RunRequest) },
  responses: {
    200: json(Ended, 'With wait: what became of it. With dryRun: the plan'),
    202: json(JobStarted, 'A job has begun'),
    ...withBody,
    ...problems(422),
  },
})

/** POST /warm/run */
export function runRoutes(deps: Deps) {
  const { warmer, access, plan } = deps
  const middleware = [...permit(access, 'warm:write', 'warm'), ...jsonBody(), patience]
  return router().openapi({ ...runRoute, middleware }, async (c) => {
    const { dryRun, explain, wait, timeout, ...rest } = c.req.valid('json')
    knownStrategy(warmer.config, rest)
    if (explain === true && dryRun !== true)
      throw new PrewarmError('USAGE', 'explain is true, but dryRun is not: only a plan is explained')
    const timeoutMs = timeout === undefined ? undefined : (parseDuration(timeout) as number)
    const request: JobRequest = { ...given(rest), ...(timeoutMs === undefined ? {} : { timeoutMs }), ...callerOf(c) }
    if (dryRun === true) {
      if (plan === undefined)
        throw new PrewarmError('USAGE', 'dryRun is true, but this warmer can’t plan: leave it out')
      const planned = await plan(request, AbortSignal.any([c.req.raw.signal, deps.signal]), {
        explain: explain === true,
      })
      return c.json(showPlan(planned), 200)
    }
    const job = warmer.submit(request)
    if (wait === true) return ended(c, deps, request, job)
    await job.noted
    const tasks = job.progress().map(({ task }) => task)
    return c.json({ success: true, job_id: job.id, trace_id: job.traceId, tasks }, 202)
  })
}

type EndedAnswer = TypedResponse<z.infer<typeof JobEnded>, 200, 'json'>

/** Answers when the job has ended; a long wait is filled with blanks. */
async function ended(c: Context<ControlEnv>, deps: Deps, request: JobRequest, job: JobHandle): Promise<EndedAnswer> {
  const { clock } = deps
  const answer = job.result.then((result): z.infer<typeof JobEnded> => {
    const { id, traceId } = job
    const strategy = request.strategy ?? deps.warmer.config.settings.defaultStrategy
    const tasks = result.tasks.map(({ task }) => task)
    const { status, startedAt: submittedAt } = result
    const { instance } = deps.warmer
    const record = {
      id,
      traceId,
      source: 'http' as const,
      strategy,
      schedule: null,
      tasks,
      status,
      submittedAt,
      request,
    }
    const shown = showJobDetail({ ...record, result, instance })
    return { success: status === 'success' || status === 'skipped', job_id: id, trace_id: traceId, job: shown }
  })
  const first = await orBlank(answer, clock)
  if (first !== null) return c.json(first, 200)
  const encoder = new TextEncoder()
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const done = await orBlank(answer, clock)
      controller.enqueue(encoder.encode(done === null ? ' ' : JSON.stringify(done)))
      if (done !== null) controller.close()
    },
  })
  // Typed by what the stream holds, which its own type does not say.
  return c.body(stream, 200, { 'content-type': 'application/json' }) as unknown as EndedAnswer
}

/** `answer`, or null when it is time for a blank. */
async function orBlank<T>(answer: Promise<T>, clock: Deps['clock']): Promise<T | null> {
  let takeBack = () => {}
  const blank = new Promise<null>((resolve) => {
    takeBack = clock.after(BLANK_EVERY_MS, () => resolve(null))
  })
  try {
    return await Promise.race([answer, blank])
  } finally {
    takeBack()
  }
}
