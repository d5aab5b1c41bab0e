import type { Redis } from 'ioredis'
import { BUCKET_MS, bucketKey, bucketOf } from '../../src/predict/buckets.ts'

/** Notes reads of the past in the access log, as if applications had told of them then. */
export async function noteReads(redis: Redis, atMs: number, counts: Record<string, number>): Promise<void> {
  const key = bucketKey(bucketOf(atMs))
  for (const [name, reads] of Object.entries(counts)) await redis.zincrby(key, reads, name)
  await redis.pexpire(key, 25 * 3_600_000)
}

/** The beginning of the window of five minutes that ended so many windows ago and longer. */
export function windowAgo(windows: number): number {
  return (bucketOf(Date.now()) - windows) * BUCKET_MS
}
