import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { DOCUMENT, send, setup } from './support.ts'

const HOUR_MS = 3_600_000

describe('POST /access', () => {
  it('hands on what was read, with its time as ms and now as the default', async () => {
    const s = setup()
    const now = s.warmer.clock.nowMs()
    const reads = [
      { key: 'film:1', count: 3, at: new Date(now - 1000).toISOString(), tier: 'redis' },
      { key: 'film:2', at: now - HOUR_MS },
      { key: 'anything' },
    ]
    const { status, body } = await send(s, 'POST', '/access', { reads })
    assertEquals([status, body], [202, { success: true, accepted: 3, rejected: 0, reasons: [] }])
    assertEquals(s.warmer.calls, [
      [
        'recordReads',
        [
          { key: 'film:1', count: 3, atMs: now - 1000, tier: 'redis' },
          { key: 'film:2', count: 1, atMs: now - HOUR_MS, tier: undefined },
          { key: 'anything', count: 1, atMs: now, tier: undefined },
        ],
      ],
    ])
    assertEquals(s.access.asked, ['needs warm:write', 'limits other'])
  })

  it('refuses entries of the future or of long ago by themselves, and takes the others', async () => {
    const s = setup()
    const now = s.warmer.clock.nowMs()
    const reads = [{ key: 'a', at: now + HOUR_MS }, { key: 'b' }, { key: 'c', at: now - 26 * HOUR_MS }]
    const { status, body } = await send(s, 'POST', '/access', { reads })
    assertEquals([status, body.accepted, body.rejected], [202, 1, 2])
    assertEquals(body.reasons, [
      { index: 0, reason: 'at is in the future' },
      { index: 2, reason: 'at is more than 25 hours ago' },
    ])
    const none = await send(s, 'POST', '/access', { reads: Array(200).fill({ key: 'a', at: 0 }) })
    assertEquals([none.body.accepted, none.body.rejected, none.body.reasons.length], [0, 200, 100])
    assertEquals(s.warmer.calls.length, 1)
  })

  it('takes no reads of prewarm’s own records', async () => {
    const s = setup()
    const reads = [{ key: 'prewarm:access:last' }, { key: 'cache:warmup:lock' }, { key: 'a' }]
    const { body } = await send(s, 'POST', '/access', { reads })
    const reason = "key is one of prewarm's own"
    assertEquals([body.accepted, body.reasons], [1, [0, 1].map((index) => ({ index, reason }))])
  })

  const bad: [name: string, body: unknown, field: string][] = [
    ['no reads', {}, 'reads'],
    ['an empty list', { reads: [] }, 'reads'],
    ['more than 10,000', { reads: Array(10_001).fill({ key: 'a' }) }, 'reads'],
    ['an empty key', { reads: [{ key: 'a' }, { key: '' }] }, 'reads.1.key'],
    ['a key that is too long', { reads: [{ key: 'k'.repeat(4097) }] }, 'reads.0.key'],
    ['a count of 0', { reads: [{ key: 'a', count: 0 }] }, 'reads.0.count'],
    ['more reads of a key than can be meant', { reads: [{ key: 'a', count: 1_000_001 }] }, 'reads.0.count'],
    ['half a read', { reads: [{ key: 'a', count: 1.5 }] }, 'reads.0.count'],
    ['a time that is none', { reads: [{ key: 'a', at: 'noon' }] }, 'reads.0.at'],
    ['a time without a zone', { reads: [{ key: 'a', at: '2026-03-01T02:00:00' }] }, 'reads.0.at'],
    ['an unknown tier', { reads: [{ key: 'a', tier: 'disk' }] }, 'reads.0.tier'],
    ['an unknown field of a read', { reads: [{ key: 'a', ms: 1 }] }, 'reads.0.ms'],
    ['an unknown field', { reads: [{ key: 'a' }], key: 'a' }, 'key'],
  ]
  for (const [name, request, field] of bad)
    it(`refuses ${name}`, async () => {
      const s = setup()
      const { status, body } = await send(s, 'POST', '/access', request)
      assertEquals([status, body.code, body.errors[0].field], [400, 'REQUEST_INVALID', field])
      assertEquals(s.warmer.calls, [])
    })

  it('takes 10,000 reads of usual keys at once', async () => {
    const s = setup()
    const reads = Array.from({ length: 10_000 }, (_, n) => ({ key: `film:${n}:details`, count: 2, tier: 'redis' }))
    assertEquals((await send(s, 'POST', '/access', { reads })).body.accepted, 10_000)
  })

  it('says so where Redis can not be reached', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError('STORE_UNREACHABLE', 'it is away')
    assertEquals((await send(s, 'POST', '/access', { reads: [{ key: 'a' }] })).status, 503)
  })

  it('is described, with an example that it takes', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a schema of the description
    const { example } = DOCUMENT.components.schemas.AccessRequest as any
    assertEquals((await send(setup(), 'POST', '/access', example)).status, 202)
  })
})
