import { createRoute, z } from '@hono/zod-openapi'
import type { ScheduleSpec } from '../../coordination/types.ts'
import type { ScheduleView } from '../../facade.ts'
import { jsonBody } from '../body.ts'
import { body, type Deps, given, guarded, json, permit, problems, router, withBody } from '../describe.ts'
import { refused } from '../invalid.ts'
import { jobId, ms, time, traceId } from '../schemas/answers.ts'
import { SchedulePath, ScheduleRequest } from '../schemas/requests.ts'

const Schedule = z
  .strictObject({
    name: z.string(),
    origin: z.enum(['config', 'custom']),
    cron: z.string().nullable(),
    interval_ms: ms().nullable(),
    time_zone: z.string(),
    tasks: z.array(z.string()).nullable(),
    tags: z.array(z.string()).nullable(),
    critical: z.boolean(),
    predictive: z.boolean(),
    limit: z.number().nullable(),
    priority: z.number().nullable(),
    params: z.record(z.string(), z.unknown()).nullable(),
    jitter_ms: ms(),
    ttl_ms: ms().nullable().openapi({ description: 'Instead of the tasks’ own' }),
    replaces: z.string().nullable().openapi({ description: 'The schedule that it runs instead of, by optimizing' }),
    catch_up: z.boolean(),
    paused: z.boolean(),
    running: z.boolean(),
    next_run_at: time().nullable(),
    last_run_at: time().nullable(),
    last_status: z.string().nullable(),
    last_job_id: jobId().nullable(),
  })
  .openapi('Schedule')
const Schedules = z.strictObject({ schedules: z.array(Schedule) }).openapi('Schedules')
const Removed = z.strictObject({ success: z.literal(true), name: z.string() }).openapi('ScheduleRemoved')
const Fired = z
  .strictObject({ success: z.literal(true), name: z.string(), job_id: jobId(), trace_id: traceId() })
  .openapi('ScheduleFired')

const tags = ['schedules']
const one = { tags, request: { params: SchedulePath } }
const oneResponses = { ...guarded, ...problems(400, 404) }
const listRoute = createRoute({
  method: 'get',
  path: '/warm/schedules',
  operationId: 'listSchedules',
  summary: 'All schedules, with their next and last run',
  tags,
  responses: { 200: json(Schedules, 'All'), ...guarded },
})
const addRoute = createRoute({
  method: 'post',
  path: '/warm/schedules',
  operationId: 'addSchedule',
  summary: 'Register a schedule',
  description: 'It is kept in Redis, and survives a restart.',
  tags,
  request: { body: body(ScheduleRequest) },
  responses: { 201: json(Schedule, 'Registered'), ...withBody, ...problems(409, 422) },
})
const removeRoute = createRoute({
  method: 'delete',
  path: '/warm/schedules/{name}',
  operationId: 'removeSchedule',
  summary: 'Remove a schedule that was registered',
  ...one,
  responses: { 200: json(Removed, 'Removed'), ...oneResponses, ...problems(409) },
})
const pauseRoute = createRoute({
  method: 'post',
  path: '/warm/schedules/{name}/pause',
  operationId: 'pauseSchedule',
  summary: 'Pause a schedule',
  ...one,
  responses: { 200: json(Schedule, 'It does not run by itself any more'), ...oneResponses },
})
const resumeRoute = createRoute({
  method: 'post',
  path: '/warm/schedules/{name}/resume',
  operationId: 'resumeSchedule',
  summary: 'Let a paused schedule go on',
  ...one,
  responses: { 200: json(Schedule, 'It runs by itself again'), ...oneResponses },
})
const runRoute = createRoute({
  method: 'post',
  path: '/warm/schedules/{name}/run',
  operationId: 'runSchedule',
  summary: 'Run a schedule now, under its lock',
  ...one,
  responses: { 202: json(Fired, 'A job has begun'), ...oneResponses, ...problems(409) },
})

/** /warm/schedules */
export function scheduleRoutes({ warmer: { schedules }, access }: Deps) {
  const read = permit(access, 'warm:read', 'other')
  const write = permit(access, 'warm:write', 'other')
  return router()
    .openapi({ ...listRoute, middleware: read }, async (c) =>
      c.json({ schedules: (await schedules.list()).map(showSchedule) }, 200),
    )
    .openapi({ ...addRoute, middleware: [...write, ...jsonBody()] }, async (c) => {
      const request = c.req.valid('json')
      try {
        return c.json(showSchedule(await schedules.add(request.name, specOf(request))), 201)
      } catch (error) {
        throw refused(error, request)
      }
    })
    .openapi({ ...removeRoute, middleware: write }, async (c) => {
      const { name } = c.req.valid('param')
      await schedules.remove(name)
      return c.json({ success: true as const, name }, 200)
    })
    .openapi({ ...pauseRoute, middleware: write }, async (c) =>
      c.json(showSchedule(await schedules.pause(c.req.valid('param').name)), 200),
    )
    .openapi({ ...resumeRoute, middleware: write }, async (c) =>
      c.json(showSchedule(await schedules.resume(c.req.valid('param').name)), 200),
    )
    .openapi({ ...runRoute, middleware: write }, async (c) => {
      const { name } = c.req.valid('param')
      const job = await schedules.runNow(name, c.get('traceId'))
      await job.noted
      return c.json({ success: true as const, name, job_id: job.id, trace_id: job.traceId }, 202)
    })
}

function specOf(request: z.infer<typeof ScheduleRequest>): Partial<ScheduleSpec> {
  const {
    name: _,
    interval,
    time_zone: timeZone,
    jitter_ms: jitterMs,
    ttl_ms: ttlMs,
    catch_up: catchUp,
    ...rest
  } = request
  const intervalMs = interval === undefined ? undefined : Math.round(interval * 60_000)
  return given({ ...rest, intervalMs, timeZone, jitterMs, ttlMs, catchUp }) as Partial<ScheduleSpec>
}

function showSchedule({ spec, ...view }: ScheduleView): z.infer<typeof Schedule> {
  return {
    name: view.name,
    origin: view.origin,
    cron: spec.cron ?? null,
    interval_ms: spec.intervalMs ?? null,
    time_zone: spec.timeZone,
    tasks: spec.tasks === undefined ? null : [...spec.tasks],
    tags: spec.tags === undefined ? null : [...spec.tags],
    critical: spec.critical ?? false,
    predictive: spec.predictive,
    limit: spec.limit ?? null,
    priority: spec.priority ?? null,
    params: spec.params === undefined ? null : { ...spec.params },
    jitter_ms: spec.jitterMs,
    ttl_ms: spec.ttlMs ?? null,
    replaces: spec.replaces ?? null,
    catch_up: spec.catchUp,
    paused: view.paused,
    running: view.running,
    next_run_at: view.nextRunAt,
    last_run_at: view.lastRunAt,
    last_status: view.lastStatus,
    last_job_id: view.lastJobId,
  }
}
