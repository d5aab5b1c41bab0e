import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { viewOf } from '../fakes/facade.ts'
import { send, setup } from './support.ts'

function withSchedules() {
  const s = setup()
  s.warmer.views.set('evening', viewOf())
  s.warmer.views.set('daily', viewOf({ name: 'daily', origin: 'config', running: true }))
  return s
}

describe('/warm/schedules', () => {
  it('lists them', async () => {
    const { body } = await send(withSchedules(), 'GET', '/warm/schedules')
    assertEquals(body.schedules.length, 2)
    assertEquals(body.schedules[0], {
      name: 'evening',
      origin: 'custom',
      cron: '30 17 * * *',
      interval_ms: null,
      time_zone: 'UTC',
      tasks: null,
      tags: null,
      critical: false,
      predictive: false,
      limit: null,
      priority: null,
      params: null,
      jitter_ms: 0,
      ttl_ms: null,
      replaces: null,
      catch_up: false,
      paused: false,
      running: false,
      next_run_at: '2026-03-01T02:00:00.000Z',
      last_run_at: null,
      last_status: null,
      last_job_id: null,
    })
  })

  it('registers one', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/schedules', {
      name: 'often',
      interval: 1.5,
      time_zone: 'Europe/Berlin',
      tasks: ['films'],
      tags: ['catalog'],
      critical: true,
      predictive: true,
      limit: 5,
      priority: 90,
      params: { limit: 2 },
      jitter_ms: 100,
      ttl_ms: 5000,
      catch_up: true,
    })
    const spec = {
      tasks: ['films'],
      tags: ['catalog'],
      critical: true,
      predictive: true,
      limit: 5,
      priority: 90,
      params: { limit: 2 },
      intervalMs: 90_000,
      timeZone: 'Europe/Berlin',
      jitterMs: 100,
      ttlMs: 5000,
      catchUp: true,
    }
    assertEquals(s.warmer.calls, [['add', 'often', spec]])
    assertEquals([status, body.name, body.interval_ms, body.time_zone], [201, 'often', 90_000, 'Europe/Berlin'])
  })

  it('leaves the defaults to the scheduler', async () => {
    const s = setup()
    await send(s, 'POST', '/warm/schedules', { name: 'a', cron: '@daily' })
    assertEquals(s.warmer.calls, [['add', 'a', { cron: '@daily' }]])
  })

  for (const request of [
    { name: 'a' },
    { cron: '@daily' },
    { name: 'a', cron: '@daily', interval: 5 },
    { name: 'a b', cron: '@daily' },
    { name: 'x'.repeat(65), cron: '@daily' },
    { name: 'a', interval: 0.01 },
    { name: 'a', interval: '5m' },
    { name: 'a', cron: '' },
    { name: 'a', cron: '@daily', limit: 0 },
    { name: 'a', cron: '@daily', jitter_ms: -1 },
    { name: 'a', cron: '@daily', timeZone: 'UTC' },
  ])
    it(`refuses ${JSON.stringify(request).slice(0, 60)}`, async () => {
      const s = setup()
      assertEquals([(await send(s, 'POST', '/warm/schedules', request)).status, s.warmer.calls], [400, []])
    })

  it('passes on what the scheduler refuses', async () => {
    const s = withSchedules()
    const taken = await send(s, 'POST', '/warm/schedules', { name: 'evening', cron: '@daily' })
    assertEquals([taken.status, taken.body.code], [409, 'CONFLICT'])
    const bad = await send(s, 'POST', '/warm/schedules', { name: 'b', cron: 'never' })
    assertEquals([bad.status, bad.body.code], [400, 'REQUEST_INVALID'])
  })

  it('names what the scheduler refuses as the request does', async () => {
    const s = setup()
    const ask = async (message: string, request: object) => {
      s.warmer.schedules.add = () => Promise.reject(new PrewarmError('REQUEST_INVALID', message))
      const { body } = await send(s, 'POST', '/warm/schedules', { name: 'a', cron: '@daily', ...request })
      return [body.detail, body.errors]
    }
    assertEquals(await ask("timeZone is 'Mars', expected a name, such as 'UTC'", { time_zone: 'Mars' }), [
      "time_zone is 'Mars', expected a name, such as 'UTC'",
      [{ field: 'time_zone', value: 'Mars', expected: "a name, such as 'UTC'" }],
    ])
    assertEquals((await ask('intervalMs is 5, expected more', { cron: undefined, interval: 1 }))[1], [
      { field: 'interval', value: 1, expected: 'more' },
    ])
    assertEquals((await ask('jitterMs is 5, expected less', { jitter_ms: 5 }))[1][0].field, 'jitter_ms')
    assertEquals(await ask('There are too many', {}), ['There are too many', undefined])
  })

  it('removes one, but not what the file declares', async () => {
    const s = withSchedules()
    const { status, body } = await send(s, 'DELETE', '/warm/schedules/evening')
    assertEquals([status, body], [200, { success: true, name: 'evening' }])
    assertEquals((await send(s, 'DELETE', '/warm/schedules/evening')).status, 404)
    assertEquals((await send(s, 'DELETE', '/warm/schedules/daily')).status, 409)
  })

  it('pauses one, and lets it go on', async () => {
    const s = withSchedules()
    const paused = await send(s, 'POST', '/warm/schedules/evening/pause')
    assertEquals([paused.status, paused.body.paused, paused.body.next_run_at], [200, true, null])
    const resumed = await send(s, 'POST', '/warm/schedules/evening/resume')
    assertEquals([resumed.body.paused, resumed.body.next_run_at !== null], [false, true])
    for (const what of ['pause', 'resume', 'run'])
      assertEquals((await send(s, 'POST', `/warm/schedules/none/${what}`)).status, 404)
  })

  it('runs one now, with the trace of the caller', async () => {
    const s = withSchedules()
    const headers = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` }
    const { status, body } = await send(s, 'POST', '/warm/schedules/evening/run', undefined, headers)
    assertEquals([status, body.job_id, body.trace_id], [202, 'job-1', 'a'.repeat(32)])
    assertEquals((await send(s, 'POST', '/warm/schedules/daily/run')).status, 409)
  })
})
