import type { Script } from '../coordination/types.ts'

/** Reads are counted by five minutes of the wall clock. */
export const BUCKET_MS = 300_000
/** Keys that a bucket in Redis keeps: the most read ones. */
export const BUCKET_KEYS = 10_000
/** How long a bucket is kept. Two windows of half a day fit in. */
export const KEPT_MS = 25 * 3_600_000
/** Sorted set: when each key was last read, ms since 1970. Keeps the latest {@linkcode BUCKET_KEYS}. */
export const LAST_KEY = 'prewarm:access:last'

export function bucketOf(ms: number): number {
  return Math.floor(ms / BUCKET_MS)
}

/** Sorted set: how often each key was read in this bucket. */
export function bucketKey(bucket: number): string {
  return `prewarm:access:${bucket}`
}

/** Hash: how many reads were served by which tier in this bucket. */
export function tiersKey(bucket: number): string {
  return `prewarm:access:tiers:${bucket}`
}

/** Adds counts to a hash. KEYS: it. ARGV: ms to keep it; then for each field its name, its count. */
export const ADD_TIERS: Script = {
  text: `
for at = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
`,
}

/** Adds reads to a bucket. */
export const ADD_READS = readsScript("'ZINCRBY', KEYS[1], ARGV[at + 1], ARGV[at]")
/** Makes sure that a bucket counts at least so many reads of each key: what is told twice counts once. */
export const AT_LEAST_READS = readsScript("'ZADD', KEYS[1], 'GT', ARGV[at + 1], ARGV[at]")

/** KEYS: the bucket, the last reads. ARGV: keys to keep, ms to keep them; then for each key its name, its reads, its last read. */
function readsScript(count: string): Script {
  return {
    text: `
local most = tonumber(ARGV[1])
for at = 3, #ARGV, 3 do
  redis.call(${count})
  redis.call('ZADD', KEYS[2], 'GT', ARGV[at + 2], ARGV[at])
end
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYRANK', key, 0, -(most + 1))
  redis.call('PEXPIRE', key, ARGV[2])
end
return redis.call('ZCARD', KEYS[1])
`,
  }
}
