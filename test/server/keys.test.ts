import { describe, it } from 'node:test'
import { assertEquals, assertMatch } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { send, setup } from './support.ts'

const TRACE = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }

describe('POST /warm/key', () => {
  it('submits the keys that have a task, and tells the others', async () => {
    const s = setup()
    const request = { keys: ['film:1', 'nope', 'rate:2', 'film:1'], priority: 7, strategy: 'breadth', ttl: '5m' }
    const { status, body } = await send(s, 'POST', '/warm/key', request, TRACE)
    assertEquals(status, 202)
    assertEquals(s.warmer.submitted[0]?.request, {
      keys: ['film:1', 'rate:2'],
      priority: 7,
      strategy: 'breadth',
      ttlMs: 300_000,
      source: 'http',
      traceId: 'a'.repeat(32),
      parentSpanId: 'b'.repeat(16),
    })
    assertEquals(body, {
      success: true,
      queued: 2,
      keys: ['film:1', 'rate:2'],
      job_id: 'job-1',
      trace_id: 'a'.repeat(32),
      // 1 for the key by http, 1 for the batch, 4 queued; at 100 requests a second, and 15.0625 ms each until now
      estimated_time_ms: 91,
      unmatched: ['nope'],
    })
  })

  it('refuses keys of which none has a task', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/key', { keys: ['a', 'b'] })
    assertEquals([status, body.code, body.unmatched], [422, 'KEYS_UNMATCHED', ['a', 'b']])
    assertEquals(s.warmer.submitted, [])
  })

  const bad: [name: string, body: unknown, field: string][] = [
    ['no keys', {}, 'keys'],
    ['an empty list', { keys: [] }, 'keys'],
    ['an empty key', { keys: ['film:1', ''] }, 'keys.1'],
    ['a key that is too long', { keys: [`film:${'x'.repeat(4096)}`] }, 'keys.0'],
    ['more keys than are allowed', { keys: Array(10_001).fill('a') }, 'keys'],
    ['a number as a key', { keys: [1] }, 'keys.0'],
    ['a priority that is text', { keys: ['film:1'], priority: 'high' }, 'priority'],
    ['an unknown strategy', { keys: ['film:1'], strategy: 'best' }, 'strategy'],
    ['a ttl without a unit', { keys: ['film:1'], ttl: '5' }, 'ttl'],
    ['a ttl that is too long', { keys: ['film:1'], ttl: '60w' }, 'ttl'],
    ['an unknown field', { keys: ['film:1'], key: 'film:1' }, 'key'],
  ]
  for (const [name, request, field] of bad)
    it(`refuses ${name}`, async () => {
      const s = setup()
      const { status, body } = await send(s, 'POST', '/warm/key', request)
      assertEquals([status, body.code, body.errors[0].field], [400, 'REQUEST_INVALID', field])
      assertEquals(s.warmer.submitted, [])
    })

  it('says what was given and what was expected, shortened and without passwords', async () => {
    const secret = `redis://me:hunter2@h/${'x'.repeat(200)}`
    const { body } = await send(setup(), 'POST', '/warm/key', { keys: ['film:1'], strategy: secret })
    const { value, expected } = body.errors[0]
    assertMatch(value, /^redis:\/\/\*\*\*@h\/x+…$/)
    assertEquals(expected, 'one of selective, breadth, priority')
    assertMatch(body.detail, /^strategy is 'redis/)
  })

  it('answers 503 when the warmer has stopped', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError('STOPPED', 'The warmer is stopped')
    const { status, body } = await send(s, 'POST', '/warm/key', { keys: ['film:1'] })
    assertEquals([status, body.code], [503, 'STOPPED'])
  })
})

describe('POST /warm/pattern', () => {
  it('submits what matches', async () => {
    const s = setup()
    s.warmer.matched = { keys: Array.from({ length: 150 }, (_, index) => `film:${index}`), truncated: true }
    const { status, body } = await send(s, 'POST', '/warm/pattern', { pattern: 'film:*', limit: 150, priority: 3 })
    assertEquals([status, body.matched_keys, body.queued, body.keys.length, body.truncated], [202, 150, 150, 100, true])
    assertEquals(s.warmer.calls, [['matching', 'film:*', 150]])
    const { request } = s.warmer.submitted[0] ?? {}
    assertEquals([request?.keys?.length, request?.priority, request?.source], [150, 3, 'http'])
  })

  it('asks for 1000 keys where nothing else is said', async () => {
    const s = setup()
    await send(s, 'POST', '/warm/pattern', { pattern: 'film:*' })
    assertEquals(s.warmer.calls, [['matching', 'film:*', 1000]])
  })

  it('begins no job where nothing matches', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/pattern', { pattern: 'film:*' })
    assertEquals([status, body.matched_keys, body.queued, body.job_id], [200, 0, 0, null])
    assertEquals(s.warmer.submitted, [])
  })

  it('passes a refused pattern on', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError('REQUEST_INVALID', 'pattern has too many stars')
    const { status, body } = await send(s, 'POST', '/warm/pattern', { pattern: '*' })
    assertEquals([status, body.detail], [400, 'pattern has too many stars'])
  })

  for (const request of [
    {},
    { pattern: '' },
    { pattern: 'x'.repeat(257) },
    { pattern: 'a', limit: 10_001 },
    { pattern: 'a', limit: 1.5 },
  ])
    it(`refuses ${JSON.stringify(request).slice(0, 40)}`, async () => {
      const s = setup()
      const { status } = await send(s, 'POST', '/warm/pattern', request)
      assertEquals([status, s.warmer.calls], [400, []])
    })

  it('answers 503 when Redis is away', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError('STORE_UNREACHABLE', 'No answer from redis://me:hunter2@h')
    const { status, body } = await send(s, 'POST', '/warm/pattern', { pattern: 'film:*' })
    assertEquals([status, body.code, body.detail], [503, 'STORE_UNREACHABLE', 'No answer from redis://***@h'])
  })
})

describe('POST /warm/trigger-predictive', () => {
  it('submits the predicted keys that have a task', async () => {
    const s = setup()
    s.warmer.hot = ['film:9', 'gone:1', 'film:4'].map((key, index) => ({ key, score: 9 - index, reason: 'read often' }))
    const { status, body } = await send(s, 'POST', '/warm/trigger-predictive', { limit: 3, windowMs: 60_000 })
    assertEquals([status, body.keys, body.matched_keys], [202, ['film:9', 'film:4'], 2])
    assertEquals(s.warmer.calls, [['predict', { limit: 3, windowMs: 60_000 }]])
    assertEquals(s.warmer.submitted[0]?.request.keys, ['film:9', 'film:4'])
  })

  it('begins no job where nothing is predicted', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/trigger-predictive', {})
    assertEquals([status, body.job_id], [200, null])
    assertEquals(s.warmer.calls, [['predict', { limit: 50, windowMs: 3_600_000 }]])
  })

  for (const request of [{ limit: 0 }, { windowMs: 999 }, { window_ms: 5000 }])
    it(`refuses ${JSON.stringify(request)}`, async () => {
      const s = setup()
      assertEquals([(await send(s, 'POST', '/warm/trigger-predictive', request)).status, s.warmer.calls], [400, []])
    })
})
