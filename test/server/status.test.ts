import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { EmergencyState } from '../../src/facade.ts'
import { send, setup } from './support.ts'

describe('GET /warm/status', () => {
  it('has the fields that were agreed upon', async () => {
    const { body } = await send(setup(), 'GET', '/warm/status')
    assertEquals(body, {
      active_jobs: 1,
      queued_tasks: 4,
      worker_status: [
        { id: 'w1', state: 'busy', current_key: 'film:1', started_at: '2026-03-01T02:00:00.000Z' },
        { id: 'w2', state: 'idle', current_key: null, started_at: null },
      ],
      emergency_stop: false,
      running: true,
      metrics: {
        jobs_total: 5,
        success_total: 3,
        failure_total: 1,
        success_rate: 0.75,
        origin_requests: 40,
        cache_writes: 900,
        rate_limit_hits: 2,
        emergency_stops: 0,
        avg_duration_ms: 120.5,
      },
    })
  })

  it('says 1 before the first job has ended', async () => {
    const s = setup()
    s.warmer.state.totals = { ...s.warmer.state.totals, jobs: 0, succeeded: 0, failed: 0 }
    assertEquals((await send(s, 'GET', '/warm/status')).body.metrics.success_rate, 1)
  })

  const since = '2026-03-01T02:00:00.000Z'
  const states: [EmergencyState, boolean][] = [
    [{ state: 'none' }, false],
    [{ state: 'stopped', by: 'origin', reason: 'slow', since }, true],
    [{ state: 'probing', since }, true],
  ]
  for (const [emergency, expected] of states)
    it(`says ${expected} for ${emergency.state}`, async () => {
      const s = setup()
      s.warmer.state.emergency = emergency
      assertEquals((await send(s, 'GET', '/warm/status')).body.emergency_stop, expected)
    })
})

describe('POST /warm/stop and /warm/resume', () => {
  it('stop where the body is empty, also where it is said to be JSON', async () => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
      const s = setup()
      const { status, body } = await send(s, 'POST', '/warm/stop', '', { 'content-type': type })
      assertEquals([status, body.success, s.warmer.calls], [200, true, [['halt', 'by hand']]], type)
    }
  })

  it('stops, with and without a body', async () => {
    const s = setup()
    const first = await send(s, 'POST', '/warm/stop')
    assertEquals([first.status, first.body], [200, { success: true, settled: true, halted: 2, emergency_stop: true }])
    await send(s, 'POST', '/warm/stop', { reason: 'the database moves' })
    await send(s, 'POST', '/warm/stop', {})
    assertEquals(
      s.warmer.calls.map(([, reason]) => reason),
      ['by hand', 'the database moves', 'by hand'],
    )
  })

  it('does not say that nothing writes while a worker has not confirmed it', async () => {
    const s = setup()
    s.warmer.halted = { settled: false, halted: 1 }
    const { status, body } = await send(s, 'POST', '/warm/stop')
    assertEquals([status, body.success, body.settled, body.emergency_stop], [202, false, false, true])
  })

  for (const [body, status] of [
    [{ reason: 1 }, 400],
    [{ why: 'x' }, 400],
    ['{', 400],
    [[], 400],
  ] as const)
    it(`refuses ${JSON.stringify(body)}`, async () => {
      const s = setup()
      assertEquals([(await send(s, 'POST', '/warm/stop', body)).status, s.warmer.calls], [status, []])
    })

  it('refuses a body of another type', async () => {
    const s = setup()
    const { status } = await send(s, 'POST', '/warm/stop', 'reason=x', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    assertEquals([status, s.warmer.calls], [415, []])
  })

  it('goes on', async () => {
    const s = setup()
    await send(s, 'POST', '/warm/stop')
    const { status, body } = await send(s, 'POST', '/warm/resume')
    assertEquals([status, body], [200, { success: true, emergency_stop: false }])
    assertEquals(s.warmer.calls.at(-1), ['resume'])
  })
})

describe('POST /warm/clear', () => {
  it('deletes by pattern or by task', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/clear', { pattern: 'film:*' })
    assertEquals([status, body], [200, { success: true, matched: 3, deleted: 3, sample: ['film:1'], dry_run: false }])
    await send(s, 'POST', '/warm/clear', { task: 'films', dryRun: true })
    assertEquals(s.warmer.calls, [
      ['clear', { pattern: 'film:*' }, false],
      ['clear', { task: 'films' }, true],
    ])
  })

  it('says which task there is not', async () => {
    const { status, body } = await send(setup(), 'POST', '/warm/clear', { task: 'filmz' })
    assertEquals([status, body.code], [422, 'TASK_UNKNOWN'])
  })

  for (const request of [
    {},
    { pattern: 'a', task: 'b' },
    { pattern: '' },
    { task: 1 },
    { pattern: 'a', dry_run: true },
  ])
    it(`refuses ${JSON.stringify(request)}`, async () => {
      const s = setup()
      assertEquals([(await send(s, 'POST', '/warm/clear', request)).status, s.warmer.calls], [400, []])
    })
})
