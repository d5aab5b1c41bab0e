import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { send, setup } from './support.ts'

const CHANGE = {
  task: 'films',
  schedule: 'hourly',
  field: 'interval' as const,
  from: 3_600_000,
  to: 240_000,
  reason: 'what is warmed lives 5 m but is warmed every 1 h',
}

function withProposal() {
  const s = setup()
  const hitRate = { from: 0.8472, to: 1 }
  const originRequestsPerHour = { from: 1834, to: 60 }
  s.warmer.optimization = {
    tasksOptimized: 1,
    changes: [CHANGE],
    expected: [{ task: 'films', hitRate, originRequestsPerHour, originMsPerHour: null }],
    unchanged: [{ task: 'rates', reason: 'no schedule warms it' }],
    applied: null,
  }
  return s
}

describe('POST /warm/optimize', () => {
  it('answers with what is proposed', async () => {
    const s = withProposal()
    const { status, body } = await send(s, 'POST', '/warm/optimize', {})
    assertEquals(status, 200)
    assertEquals(body, {
      success: true,
      tasks_optimized: 1,
      changes: [CHANGE],
      expected: [
        {
          task: 'films',
          hit_rate: { from: 0.8472, to: 1 },
          origin_requests_per_hour: { from: 1834, to: 60 },
          origin_ms_per_hour: null,
        },
      ],
      unchanged: [{ task: 'rates', reason: 'no schedule warms it' }],
      applied: null,
    })
    assertEquals(s.warmer.calls, [['optimizeSchedules', {}]])
  })

  it('registers it, or takes it back', async () => {
    const s = withProposal()
    const applied = { added: ['optimized-films'], removed: [], paused: ['hourly'], resumed: [] }
    s.warmer.optimization = { ...s.warmer.optimization, applied }
    assertEquals((await send(s, 'POST', '/warm/optimize', { apply: true })).body.applied, applied)
    await send(s, 'POST', '/warm/optimize', { revert: true })
    assertEquals(s.warmer.calls, [
      ['optimizeSchedules', { apply: true }],
      ['optimizeSchedules', { revert: true }],
    ])
  })

  it('refuses both at once, and what it does not know', async () => {
    for (const request of [{ apply: true, revert: true }, { apply: 1 }, { aply: true }]) {
      const s = withProposal()
      const { status, body } = await send(s, 'POST', '/warm/optimize', request)
      assertEquals([status, body.code, s.warmer.calls], [400, 'REQUEST_INVALID', []])
    }
  })

  it('says that somebody else does it, and that Redis is away', async () => {
    for (const [code, status] of [
      ['CONFLICT', 409],
      ['STORE_UNREACHABLE', 503],
    ] as const) {
      const s = withProposal()
      s.warmer.failure = new PrewarmError(code, 'not now')
      const answer = await send(s, 'POST', '/warm/optimize', { apply: true })
      assertEquals([answer.status, answer.body.code], [status, code])
    }
  })
})
