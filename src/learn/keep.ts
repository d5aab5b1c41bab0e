import type { Commands } from '../coordination/types.ts'
import { AT_LEAST_READS, BUCKET_KEYS, bucketKey, bucketOf, KEPT_MS, LAST_KEY } from '../predict/buckets.ts'
import type { Count } from '../predict/hot-counts.ts'

/** Keys of one script call: it blocks the server while it runs. */
const CHUNK = 1000

/** True if the access log would keep a read of that time. */
export function isKept(atMs: number, nowMs: number): boolean {
  return bucketOf(atMs) >= bucketOf(nowMs - KEPT_MS) && atMs <= nowMs
}

/**
 * Writes what was learned into the access log in Redis, by buckets: of each no more than a bucket keeps, those that come first.
 *
 * @returns counts that were written
 * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`; some may be written then, and writing all again does no harm
 */
export async function keepReads(
  commands: Commands,
  buckets: Iterable<[bucket: number, counts: Iterable<[string, Count]>]>,
): Promise<number> {
  let kept = 0
  for (const [bucket, counts] of buckets) {
    const all = [...counts].slice(0, BUCKET_KEYS)
    kept += all.length
    for (let at = 0; at < all.length; at += CHUNK) {
      const args = all.slice(at, at + CHUNK).flatMap(([key, { reads, lastMs }]) => [key, reads, lastMs])
      await commands.script(AT_LEAST_READS, [bucketKey(bucket), LAST_KEY], [BUCKET_KEYS, KEPT_MS, ...args])
    }
  }
  return kept
}

/** Sorts keys into the buckets of their last reads. */
export function byBucket(counts: Iterable<[string, Count]>): Map<number, [string, Count][]> {
  const buckets = new Map<number, [string, Count][]>()
  for (const one of counts) {
    const bucket = bucketOf(one[1].lastMs)
    const there = buckets.get(bucket)
    if (there === undefined) buckets.set(bucket, [one])
    else there.push(one)
  }
  return buckets
}
