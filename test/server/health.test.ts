import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Readiness } from '../../src/facade.ts'
import { turn } from '../fakes/clock.ts'
import { send, setup } from './support.ts'

describe('health', () => {
  it('/healthz says that the process answers, whatever else is wrong', async () => {
    const s = setup()
    s.warmer.failure = new Error('everything')
    s.warmer.ready = { ready: false, failures: [] }
    const { status, body } = await send(s, 'GET', '/healthz')
    assertEquals([status, body], [200, { status: 'ok' }])
  })

  it('/readyz tells by code what can’t be reached, and no address', async () => {
    const s = setup()
    assertEquals((await send(s, 'GET', '/readyz')).body, { status: 'ready' })
    const message = 'No answer from 10.0.0.7:6379'
    s.warmer.ready = { ready: false, failures: [{ code: 'STORE_UNREACHABLE', message, detail: '10.0.0.7' }] }
    const { status, body } = await send(s, 'GET', '/readyz')
    assertEquals([status, body.code, body.failures], [503, 'NOT_READY', [{ code: 'STORE_UNREACHABLE' }]])
    assert(!JSON.stringify(body).includes('10.0.0.7'))
  })

  it('/readyz asks once for all who wait for the answer, as anybody may ask', async () => {
    const s = setup()
    const { promise, resolve } = Promise.withResolvers<Readiness>()
    let asked = 0
    s.warmer.readiness = () => {
      asked++
      return promise
    }
    const waiting = Array.from({ length: 50 }, () => send(s, 'GET', '/readyz'))
    await turn()
    resolve({ ready: true, failures: [] })
    for (const answer of waiting) assertEquals((await answer).status, 200)
    assertEquals(asked, 1)
    s.warmer.readiness = async () => ({ ready: false, failures: [] })
    assertEquals((await send(s, 'GET', '/readyz')).status, 503)
  })

  it('/startedz turns good when the first warm has finished', async () => {
    const s = setup()
    s.warmer.isWarm = false
    const { status, body } = await send(s, 'GET', '/startedz')
    assertEquals([status, body.code], [503, 'NOT_READY'])
    s.warmer.isWarm = true
    assertEquals((await send(s, 'GET', '/startedz')).body, { status: 'started' })
  })

  it('/metrics is Prometheus text', async () => {
    const { status, headers, body } = await send(setup(), 'GET', '/metrics')
    assertEquals([status, headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8'])
    assert(body.includes('up 1\n'))
  })
})
