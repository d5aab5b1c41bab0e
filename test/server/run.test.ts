import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { JobRequest, PlanEntry } from '../../src/types.ts'
import { turn } from '../fakes/clock.ts'
import type { FakeJob } from '../fakes/facade.ts'
import { holdAgainst, send, setup } from './support.ts'

const ENTRY: PlanEntry = {
  task: 'films',
  key: 'film:{id}',
  priority: 100,
  kind: 'load',
  value: 'json',
  mode: 'overwrite',
  ttlMs: 60_000,
  keys: 5,
  batches: 1,
  originRequests: 2,
  sample: ['film:1'],
  error: null,
}

const post = (body: unknown) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

describe('POST /warm/run', () => {
  it('begins a job, and does not wait for it', async () => {
    const s = setup()
    const request = {
      tasks: ['films'],
      tags: ['catalog'],
      critical: true,
      params: { limit: 2 },
      count: 9,
      priority: -1,
    }
    const { status, body } = await send(s, 'POST', '/warm/run', { ...request, timeout: '1m', strategy: 'selective' })
    assertEquals(status, 202)
    const { traceId, ...submitted } = (s.warmer.submitted[0] as FakeJob).request
    assertEquals(submitted, { ...request, timeoutMs: 60_000, strategy: 'selective', source: 'http' })
    assertEquals(body, { success: true, job_id: 'job-1', trace_id: traceId, tasks: ['films'] })
  })

  it('runs everything that is declared where nothing is said', async () => {
    assertEquals((await send(setup(), 'POST', '/warm/run', {})).body.tasks, ['films', 'rates'])
  })

  it('with wait, answers when the job has ended', async () => {
    const s = setup()
    const answer = send(s, 'POST', '/warm/run', { tasks: ['films'], wait: true })
    while (s.warmer.submitted.length === 0) await turn()
    s.warmer.submitted[0]?.end('partial')
    const { status, body } = await answer
    assertEquals([status, body.success, body.job_id], [200, false, 'job-1'])
    const { status: ended, task_results: tasks, latency_ms: latency, duration_ms: duration } = body.job
    assertEquals([ended, duration, latency.max], ['partial', 1500, 4.001])
    assertEquals([tasks[0].keys.skipped_present, tasks[0].first_error.code], [0, 'ORIGIN_NO_VALUE'])
    assertEquals(s.warmer.clock.pending, 0)
  })

  it('fills a long wait with blanks, so that no server takes the connection for dead', async () => {
    const s = setup()
    const asked = s.app.request('/warm/run', post({ wait: true }))
    while (s.warmer.clock.pending === 0) await turn()
    await s.warmer.clock.advance(4000)
    const response = await asked
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const next = async () => new TextDecoder().decode((await reader.read()).value)
    const [blank] = await Promise.all([next(), s.warmer.clock.advance(4000)])
    assertEquals([blank, response.status], [' ', 200])
    s.warmer.submitted[0]?.end()
    let text = blank
    for (let part = await next(); part !== ''; part = await next()) text += part
    const { body } = holdAgainst('POST', '/warm/run', response, text)
    assertEquals(body.success, true)
    await turn()
    assertEquals(s.warmer.clock.pending, 0)
  })

  it('goes on with the job when the caller that waits leaves', async () => {
    const s = setup()
    const leave = new AbortController()
    const asked = s.app.request('/warm/run', { ...post({ wait: true }), signal: leave.signal })
    while (s.warmer.clock.pending === 0) await turn()
    await s.warmer.clock.advance(4000)
    leave.abort()
    await (await asked).body?.cancel()
    assertEquals(s.warmer.submitted[0]?.status, 'running')
    s.warmer.submitted[0]?.end()
  })

  it('with dryRun, answers with the plan and begins nothing', async () => {
    const planned: JobRequest[] = []
    const plan = async (request: JobRequest) => {
      planned.push(request)
      return [ENTRY, { ...ENTRY, task: 'rates', keys: null, error: { code: 'ORIGIN_FAILED' as const, message: 'no' } }]
    }
    const s = setup({ plan })
    const { status, body } = await send(s, 'POST', '/warm/run', { tags: ['catalog'], dryRun: true, wait: true })
    assertEquals(
      [status, body.dry_run, body.plan[0].ttl_ms, body.plan[1].error.code],
      [200, true, 60_000, 'ORIGIN_FAILED'],
    )
    assertEquals([planned[0]?.tags, s.warmer.submitted], [['catalog'], []])
  })

  it('refuses dryRun where nobody can plan, rather than run', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/run', { dryRun: true })
    assertEquals([status, body.code, s.warmer.submitted], [400, 'USAGE', []])
  })

  it('says which task or parameter there is not', async () => {
    const s = setup()
    const unknown = await send(s, 'POST', '/warm/run', { tasks: ['filmz'] })
    assertEquals([unknown.status, unknown.body.code], [422, 'TASK_UNKNOWN'])
    const wrong = await send(s, 'POST', '/warm/run', { params: { lim: 1 } })
    assertEquals([wrong.status, wrong.body.code], [400, 'PARAM_INVALID'])
    const none = await send(s, 'POST', '/warm/run', { tags: ['none'] })
    assertEquals([none.status, none.body.code], [400, 'USAGE'])
    assertEquals(s.warmer.submitted, [])
  })

  for (const request of [
    { tasks: 'films' },
    { tasks: [''] },
    { critical: 'yes' },
    { count: 0 },
    { timeout: '2d' },
    { params: [] },
    { wait: 1 },
    { dry_run: true },
    { keys: ['film:1'] },
    { traceId: 'a'.repeat(32) },
    { fence: { key: 'k', token: 1 } },
  ])
    it(`refuses ${JSON.stringify(request)}`, async () => {
      const s = setup()
      const { status, body } = await send(s, 'POST', '/warm/run', request)
      assertEquals([status, body.errors[0].field, s.warmer.submitted], [400, body.errors[0].field, []])
      assertEquals(body.errors[0].field.split('.')[0], Object.keys(request)[0])
    })
})
