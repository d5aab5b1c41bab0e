import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { efficiencyOf, warmingPerformance } from '../../src/gain/performance.ts'
import type { FinalStatus, JobResult } from '../../src/types.ts'
import { figures } from './support.ts'

const NOW = Date.parse('2026-01-01T06:05:00Z')

function job(jobId: string, ms: number, status: FinalStatus = 'success', endedAt = '2026-01-01T05:00:00Z'): JobResult {
  return {
    jobId,
    traceId: '0af7651916cd43dd8448eb211c80319c',
    status,
    startedAt: '2026-01-01T00:00:00Z',
    endedAt,
    durationNs: ms * 1e6,
    keys: { planned: 0, written: 0, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 },
    coverage: 1,
    latencyNs: { p50: 0, p95: 0, p99: 0, max: 0 },
    tasks: [],
  }
}

describe('warmingPerformance', () => {
  it('tells how long jobs took that ran to their end, each once', () => {
    const jobs = Array.from({ length: 100 }, (_, at) => job(`j${at}`, at + 1)).reverse()
    const left = [
      job('j5', 6),
      job('cancelled', 9e6, 'cancelled'),
      job('skipped', 9e6, 'skipped'),
      job('before', 9e6, 'success', '2025-12-31T23:59:59Z'),
      job('wrong', 9e6, 'success', 'never'),
    ]
    const told = warmingPerformance([...jobs, ...left], figures(), NOW)
    assertEquals([told.jobs, told.avg_duration_ms, told.p95_duration_ms], [100, 50.5, 95])
    const one = warmingPerformance([job('a', 7, 'failed')], figures(), NOW)
    assertEquals([one.avg_duration_ms, one.p95_duration_ms], [7, 7])
  })

  it('knows nothing where nothing was', () => {
    assertEquals(warmingPerformance([], figures(), NOW), {
      avg_duration_ms: null,
      p95_duration_ms: null,
      jobs: 0,
      keys_warmed: 0,
      keys_read: 0,
      keys_wasted: 0,
      efficiency_score: null,
      efficiency: null,
      window: { from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T06:05:00.000Z' },
      live: { keys_warmed: 0, keys_read: 0 },
      tasks: [],
    })
  })

  it('tells what was read and what was wasted, by task too', () => {
    const byTask = new Map([
      ['films', { warmed: 800, read: 780 }],
      ['actors', { warmed: 200, read: 75 }],
    ])
    const gain = figures({ ended: { warmed: 1000, read: 855, byTask }, live: { warmed: 10, read: 4 } })
    const told = warmingPerformance([], gain, NOW)
    assertEquals([told.keys_warmed, told.keys_read, told.keys_wasted], [1000, 855, 145])
    assertEquals([told.efficiency_score, told.efficiency], [85.5, 'good'])
    assertEquals(told.tasks, [
      { task: 'films', keys_warmed: 800, keys_read: 780, keys_wasted: 20 },
      { task: 'actors', keys_warmed: 200, keys_read: 75, keys_wasted: 125 },
    ])
    assertEquals(told.live, { keys_warmed: 10, keys_read: 4 })
  })

  it('does not call warming a waste where nobody tells of reads', () => {
    const ended = { warmed: 1000, read: 0, byTask: new Map() }
    const score = (isObserved: boolean) => warmingPerformance([], figures({ ended, isObserved }), NOW).efficiency_score
    assertEquals([score(false), score(true)], [null, 0])
  })

  it('is excellent above 90, good above 80', () => {
    assertEquals([null, 0, 80, 80.1, 90, 90.1, 100].map(efficiencyOf), [
      ...[null, 'low', 'low', 'good', 'good', 'excellent', 'excellent'],
    ] as ReturnType<typeof efficiencyOf>[])
  })
})
