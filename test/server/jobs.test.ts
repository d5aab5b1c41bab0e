import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { JobRecord } from '../../src/coordination/types.ts'
import { resultOf } from '../fakes/facade.ts'
import { send, setup } from './support.ts'

function record(id: string, status: JobRecord['status'] = 'success'): JobRecord {
  const isOver = status !== 'running' && status !== 'queued'
  return {
    id,
    traceId: 'c'.repeat(32),
    source: 'schedule',
    strategy: 'priority',
    schedule: 'daily',
    tasks: ['films'],
    status,
    submittedAt: '2026-03-01T02:00:00.000Z',
    request: { params: { password: 'hunter2' } },
    result: isOver ? resultOf(id, 'c'.repeat(32), ['films'], status) : null,
    instance: 'test-1',
  }
}

describe('GET /warm/jobs', () => {
  it('lists what is remembered, newest first, without the requests', async () => {
    const s = setup()
    s.warmer.records.push(record('job-9', 'running'), record('job-8', 'partial'))
    const { status, body } = await send(s, 'GET', '/warm/jobs')
    assertEquals(status, 200)
    assertEquals(body.jobs[0], {
      job_id: 'job-9',
      trace_id: 'c'.repeat(32),
      source: 'schedule',
      strategy: 'priority',
      schedule: 'daily',
      tasks: ['films'],
      status: 'running',
      instance: 'test-1',
      submitted_at: '2026-03-01T02:00:00.000Z',
      ended_at: null,
      duration_ms: null,
      keys: null,
      coverage: null,
    })
    assertEquals([body.jobs[1].job_id, body.jobs[1].keys.written, body.jobs[1].duration_ms], ['job-8', 2, 1500])
  })

  it('is bounded, also where more are remembered', async () => {
    const s = setup()
    for (let index = 0; index < 250; index++) s.warmer.records.push(record(`job-${index}`))
    assertEquals((await send(s, 'GET', '/warm/jobs')).body.jobs.length, 200)
    assertEquals((await send(s, 'GET', '/warm/jobs?limit=3')).body.jobs.length, 3)
  })

  it('filters by status before it counts', async () => {
    const s = setup()
    s.warmer.records.push(record('a'), record('b', 'failed'), record('c'), record('d', 'failed'))
    const { body } = await send(s, 'GET', '/warm/jobs?status=failed&limit=1')
    assertEquals(
      body.jobs.map((job: { job_id: string }) => job.job_id),
      ['b'],
    )
  })

  for (const query of ['limit=0', 'limit=201', 'limit=x', 'limit=', 'status=done', 'page=2'])
    it(`refuses ${query}`, async () => assertEquals((await send(setup(), 'GET', `/warm/jobs?${query}`)).status, 400))
})

describe('GET /warm/jobs/:id', () => {
  it('shows what became of each task', async () => {
    const s = setup()
    s.warmer.records.push(record('job-8', 'partial'))
    const { status, body } = await send(s, 'GET', '/warm/jobs/job-8')
    assertEquals([status, body.task_results[0].task, body.task_results[0].origin_requests], [200, 'films', 4])
    assertEquals(body.latency_ms, { p50: 1, p95: 2, p99: 3, max: 4.001 })
  })

  it('shows a job that runs', async () => {
    const s = setup()
    s.warmer.records.push(record('job-9', 'running'))
    const { body } = await send(s, 'GET', '/warm/jobs/job-9')
    assertEquals([body.task_results, body.latency_ms], [[], null])
  })

  it('says that there is no such job', async () => {
    const { status, body } = await send(setup(), 'GET', '/warm/jobs/job-1')
    assertEquals([status, body.code], [404, 'NOT_FOUND'])
  })

  it('refuses what can be no id', async () => {
    assertEquals((await send(setup(), 'GET', '/warm/jobs/a%20b')).status, 400)
    assertEquals((await send(setup(), 'GET', `/warm/jobs/${'a'.repeat(65)}`)).status, 400)
  })
})

describe('DELETE /warm/jobs/:id', () => {
  it('cancels a job that runs, once', async () => {
    const s = setup()
    await send(s, 'POST', '/warm/run', {})
    const { status, body } = await send(s, 'DELETE', '/warm/jobs/job-1')
    assertEquals([status, body], [200, { success: true, job_id: 'job-1' }])
    assertEquals(s.warmer.submitted[0]?.status, 'cancelled')
    const again = await send(s, 'DELETE', '/warm/jobs/job-1')
    assertEquals([again.status, again.body.code], [409, 'CONFLICT'])
  })

  it('says that there is no such job', async () => {
    assertEquals((await send(setup(), 'DELETE', '/warm/jobs/job-1')).status, 404)
  })
})
