import { createRoute } from '@hono/zod-openapi'
import { PrewarmError } from '../../errors.ts'
import { type Deps, guarded, json, permit, problems, router } from '../describe.ts'
import { Cancelled, JobDetail, Jobs } from '../schemas/answers.ts'
import { JobPath, JobsQuery } from '../schemas/requests.ts'
import { showJob, showJobDetail } from '../show.ts'

const MAX_JOBS = 200

const tags = ['jobs']
const listRoute = createRoute({
  method: 'get',
  path: '/warm/jobs',
  operationId: 'listJobs',
  summary: 'The last jobs, newest first',
  tags,
  request: { query: JobsQuery },
  responses: { 200: json(Jobs, 'At most 200'), ...guarded, ...problems(400) },
})
const oneRoute = createRoute({
  method: 'get',
  path: '/warm/jobs/{id}',
  operationId: 'getJob',
  summary: 'One job, with what became of each task',
  tags,
  request: { params: JobPath },
  responses: { 200: json(JobDetail, 'The job'), ...guarded, ...problems(400, 404) },
})
const cancelRoute = createRoute({
  method: 'delete',
  path: '/warm/jobs/{id}',
  operationId: 'cancelJob',
  summary: 'Cancel a job',
  tags,
  request: { params: JobPath },
  responses: { 200: json(Cancelled, 'It begins nothing any more'), ...guarded, ...problems(400, 404, 409) },
})

/** GET /warm/jobs, GET and DELETE /warm/jobs/:id */
export function jobRoutes({ warmer, access }: Deps) {
  const read = permit(access, 'warm:read', 'other')
  return router()
    .openapi({ ...listRoute, middleware: read }, async (c) => {
      const { limit = MAX_JOBS, status } = c.req.valid('query')
      const jobs = (await warmer.jobs()).filter((job) => status === undefined || job.status === status)
      return c.json({ jobs: jobs.slice(0, limit).map(showJob) }, 200)
    })
    .openapi({ ...oneRoute, middleware: read }, async (c) => {
      const { id } = c.req.valid('param')
      const job = await warmer.job(id)
      if (job === null) throw unknownJob(id)
      return c.json(showJobDetail(job), 200)
    })
    .openapi({ ...cancelRoute, middleware: permit(access, 'warm:write', 'other') }, async (c) => {
      const { id } = c.req.valid('param')
      const isCancelled = await warmer.cancel(id)
      if (isCancelled === null) throw unknownJob(id)
      if (!isCancelled) throw new PrewarmError('CONFLICT', `Job ${id} has ended already`)
      return c.json({ success: true as const, job_id: id }, 200)
    })
}

function unknownJob(id: string): PrewarmError {
  return new PrewarmError('NOT_FOUND', `There is no job ${id} among the last ${MAX_JOBS}: see GET /warm/jobs`)
}
