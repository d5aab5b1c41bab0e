import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { send, setup } from './support.ts'

const SECRETS = {
  redis: 'rediss://me:hunter2@cache.example:6380/1',
  database: 'postgres://me:hunter2@db.example/shop?password=hunter2',
  control: { jwt: { algorithm: 'HS256' as const, secret: 'hunter2'.repeat(8) } },
}

describe('GET /warm/config', () => {
  it('shows what runs, durations in ms, and neither secrets nor addresses', async () => {
    const { body } = await send(setup({}, { ...SECRETS, defaultTtl: '2h' }), 'GET', '/warm/config')
    assertEquals([body.default_ttl, body.max_origin_rps, body.origin_timeout, body.workers], [7_200_000, 100, 5000, 0])
    assertEquals(body.tasks[0].key, 'film:{id}')
    assertEquals([body.tasks[0].params, body.tasks[1].kind], [['limit'], 'http'])
    const text = JSON.stringify(body)
    for (const secret of ['hunter2', 'cache.example', 'db.example']) assert(!text.includes(secret), secret)
  })
})

describe('POST /warm/config', () => {
  it('changes what is named, in the names of the warmer, and answers with what runs then', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/config', {
      max_origin_rps: 12.5,
      concurrent_warmers: 3,
      max_batch_size: 20,
      default_ttl: '10m',
      origin_timeout: 1500,
      retry_attempts: 0,
      backoff_base: '50ms',
      emergency_threshold: '1s',
      default_strategy: 'breadth',
      workers: 2,
    })
    assertEquals(s.warmer.calls, [
      [
        'retune',
        {
          maxOriginRps: 12.5,
          concurrentWarmers: 3,
          maxBatchSize: 20,
          defaultTtlMs: 600_000,
          originTimeoutMs: 1500,
          retryAttempts: 0,
          backoffBaseMs: 50,
          emergencyThresholdMs: 1000,
          defaultStrategy: 'breadth',
          workers: 2,
        },
      ],
    ])
    assertEquals(
      [status, body.max_origin_rps, body.default_ttl, body.default_strategy],
      [200, 12.5, 600_000, 'breadth'],
    )
  })

  it('leaves alone what is not named', async () => {
    const s = setup()
    await send(s, 'POST', '/warm/config', { workers: 1 })
    assertEquals(s.warmer.calls, [['retune', { workers: 1 }]])
    await send(s, 'POST', '/warm/config', {})
    assertEquals(s.warmer.calls.length, 1)
  })

  const bad: [request: object, value: unknown, expected: string][] = [
    [{ max_origin_rps: 0 }, 0, 'a number from 0.1 to 1000000'],
    [{ concurrent_warmers: 1.5 }, 1.5, 'a whole number from 1 to 1000'],
    [{ max_batch_size: 10_001 }, 10_001, 'a whole number from 1 to 10000'],
    [{ retry_attempts: -1 }, -1, 'a whole number from 0 to 20'],
    [{ workers: 65 }, 65, 'a whole number from 0 to 64'],
    [{ workers: '2' }, '2', 'a whole number from 0 to 64'],
    [{ workers: null }, null, 'a whole number from 0 to 64'],
    [{ default_strategy: 'best' }, 'best', 'one of selective, breadth, priority'],
    [
      { default_ttl: '5' },
      '5',
      "ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from 1 to 31536000000 ms",
    ],
  ]
  for (const [request, value, expected] of bad)
    it(`refuses ${JSON.stringify(request)} naming field, value and bounds, and changes nothing`, async () => {
      const s = setup()
      const { status, body } = await send(s, 'POST', '/warm/config', { max_origin_rps: 5, ...request })
      assertEquals([status, s.warmer.calls], [400, []])
      assertEquals(body.errors, [{ field: Object.keys(request)[0], value, expected }])
    })

  it('refuses unknown fields, and names the known ones', async () => {
    const s = setup()
    const { body } = await send(s, 'POST', '/warm/config', { maxOriginRps: 5, redis: 'redis://h' })
    assertEquals(
      body.errors.map(({ field }: { field: string }) => field),
      ['maxOriginRps', 'redis'],
    )
    assert(body.errors[0].expected.includes('max_origin_rps'))
    assertEquals(s.warmer.calls, [])
  })

  it('passes on what only the warmer can know', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError(
      'REQUEST_INVALID',
      'workers is 0, expected 1 to 64, because workers are threads',
    )
    const { status, body } = await send(s, 'POST', '/warm/config', { workers: 0 })
    assertEquals([status, body.detail], [400, s.warmer.failure.message])
    assertEquals(body.errors, [{ field: 'workers', value: 0, expected: '1 to 64, because workers are threads' }])
  })
})
