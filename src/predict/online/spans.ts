import { BUCKET_MS, bucketOf, KEPT_MS } from '../buckets.ts'

/** How long after its end a window is complete in Redis, ms: every process has flushed what it counted. */
export const SETTLED_MS = 15_000

/** A window of the wall clock. Times in ms since 1970. */
export interface Span {
  fromMs: number
  toMs: number
}

/** The length of the windows that are folded: whole buckets of five minutes, in which reads are counted. */
export function wholeBuckets(windowMs: number): number {
  return Math.max(1, Math.ceil(windowMs / BUCKET_MS)) * BUCKET_MS
}

/** The end of the last window that is complete. */
export function dueTo(nowMs: number, windowMs: number): number {
  return Math.floor((nowMs - SETTLED_MS) / windowMs) * windowMs
}

/** Where the access log begins now: the first window of which something may still be there. */
export function keptFrom(nowMs: number, windowMs: number): number {
  return Math.floor((nowMs - KEPT_MS) / windowMs) * windowMs
}

/** The windows from `fromMs` to `toMs`, one after the other. */
export function spansBetween({ fromMs, toMs }: Span, windowMs: number): Span[] {
  const count = Math.max(0, Math.round((toMs - fromMs) / windowMs))
  return Array.from({ length: count }, (_, index) => ({
    fromMs: fromMs + index * windowMs,
    toMs: fromMs + (index + 1) * windowMs,
  }))
}

/** The buckets that a span is made of. */
export function bucketsOf({ fromMs, toMs }: Span): number[] {
  const first = bucketOf(fromMs)
  return Array.from({ length: Math.max(0, bucketOf(toMs - 1) - first + 1) }, (_, index) => first + index)
}
