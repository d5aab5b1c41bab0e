import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { estimateMs } from '../../src/server/estimate.ts'
import { FakeFacade } from '../fakes/facade.ts'

const LIMITS = { maxBatchSize: 50, maxOriginRps: 100, concurrentWarmers: 10 }
const { totals } = new FakeFacade().state
const fresh = { queuedTasks: 0, totals: { ...totals, jobs: 0, originRequests: 0, averageDurationMs: 0 } }

describe('estimateMs', () => {
  it('goes by the rate where that is what takes longest', () => {
    assertEquals(estimateMs({ ...LIMITS, single: 0, batched: 5000 }, fresh), 1000)
    assertEquals(estimateMs({ ...LIMITS, single: 100, batched: 1 }, fresh), 1010)
  })

  it('goes by what requests took until now where that is longer', () => {
    const slow = { queuedTasks: 0, totals: { ...totals, jobs: 2, originRequests: 10, averageDurationMs: 500 } }
    assertEquals(estimateMs({ ...LIMITS, single: 0, batched: 200 }, slow), 400)
  })

  it('counts what is queued already', () => {
    assertEquals(estimateMs({ ...LIMITS, single: 0, batched: 50 }, { ...fresh, queuedTasks: 9 }), 100)
  })

  it('guesses before anything has run', () => {
    assertEquals(estimateMs({ ...LIMITS, maxOriginRps: 1e6, single: 0, batched: 500 }, fresh), 50)
  })
})
