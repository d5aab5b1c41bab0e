import type { WarmerStatus } from '../facade.ts'

export interface EstimateInputs {
  /** Keys that each make a request of their own (`http`). */
  single: number
  /** Keys that are read in batches. */
  batched: number
  maxBatchSize: number
  maxOriginRps: number
  concurrentWarmers: number
}

/** Before anything has run: what a batch may take, ms. */
const FIRST_GUESS_MS = 50

/**
 * How long a job of these keys may take, ms, rounded up:
 * `max(requests / maxOriginRps × 1000, requests × paceMs)`, where
 *
 * - `requests = single + ceil(batched / maxBatchSize) + queued tasks`: what is queued already goes first;
 * - `paceMs = average duration of a job × jobs / origin requests`: what a request has cost until now, with all that ran
 *   beside it; before the first one `50 / concurrentWarmers`.
 *
 * It knows nothing of retries, priorities, or an origin that grows slow.
 */
export function estimateMs(
  inputs: EstimateInputs,
  { queuedTasks, totals }: Pick<WarmerStatus, 'queuedTasks' | 'totals'>,
): number {
  const { single, batched, maxBatchSize, maxOriginRps, concurrentWarmers } = inputs
  const requests = single + Math.ceil(batched / maxBatchSize) + queuedTasks
  const { averageDurationMs, jobs, originRequests } = totals
  const known = averageDurationMs > 0 && originRequests > 0
  const paceMs = known ? (averageDurationMs * jobs) / originRequests : FIRST_GUESS_MS / concurrentWarmers
  return Math.ceil(Math.max((requests / maxOriginRps) * 1000, requests * paceMs))
}
