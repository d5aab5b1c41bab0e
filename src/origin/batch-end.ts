import type { Failure } from '../errors.ts'
import type { BatchEnd } from '../pool/member.ts'
import type { Seen } from './guard.ts'

/**
 * What the breaker counts: an origin that is away, too slow, or asks for patience without saying how long. A wrong query
 * is not the origin's fault. An HTTP batch ends as done even if every request of it failed.
 */
export function isOriginDown(end: BatchEnd): boolean {
  if (end.status === 'done' && end.report.retryAfterMs !== undefined) return false
  const failure = failureOf(end)
  if (failure === null) return false
  if (failure.code === 'ORIGIN_UNREACHABLE' || failure.code === 'ORIGIN_TIMEOUT') return true
  return failure.code === 'ORIGIN_FAILED' && /^(429|5\d\d)$/.test(failure.detail ?? '')
}

/** What a batch's end tells of the origin; undefined: nothing, as it was cancelled or its worker was lost. */
export function seenOf(end: BatchEnd, durationNs: number): Seen | undefined {
  if (end.status === 'lost') return undefined
  const isDown = isOriginDown(end)
  if (end.status === 'failed')
    return end.failure.code.startsWith('ORIGIN_') ? { requests: 1, durationNs, isDown } : undefined
  const { originRequests: requests, readNs, retryAfterMs, firstError } = end.report
  if (requests === 0) return undefined
  const isRateLimited = firstError?.code === 'ORIGIN_FAILED' && firstError.detail === '429'
  const patience = retryAfterMs === undefined ? {} : { retryAfterMs }
  return { requests, durationNs: readNs, isDown, isRateLimited, ...patience }
}

function failureOf(end: BatchEnd): Failure | null {
  if (end.status === 'failed') return end.failure
  if (end.status === 'lost') return null
  const { retryKeys, keys, firstError } = end.report
  return retryKeys.length > 0 && keys.planned === 0 ? firstError : null
}
