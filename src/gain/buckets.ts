import type { Script } from '../coordination/types.ts'

/** What was gained is counted by ten minutes: reads by when they happened, entries by when they expire. */
export const GAIN_BUCKET_MS = 600_000
/** How long a bucket is kept after it has ended. */
export const GAIN_KEPT_MS = 6 * 3_600_000
/** Longest life of an entry of which can be said whether it was read: longer ones would need too many buckets. */
export const MEASURED_MS = 24 * 3_600_000
/** A keyspace's name where there is none, or where there are too many to tell apart. */
export const OTHER = 'other'

export function gainBucketOf(ms: number): number {
  return Math.floor(ms / GAIN_BUCKET_MS)
}

/** When a bucket's records may go, ms since 1970. */
export function gainExpiryOf(bucket: number): number {
  return (bucket + 1) * GAIN_BUCKET_MS + GAIN_KEPT_MS
}

/** Hash: how many entries that expire in this bucket were warmed, by task; a task with 0 has reads only. */
export function warmedKey(bucket: number): string {
  return `prewarm:gain:warmed:${bucket}`
}

/** HyperLogLog: which entries of a keyspace that expire in this bucket were read. At most 12 KB. */
export function readKey(bucket: number, keyspace: string): string {
  return `prewarm:gain:read:${bucket}:${keyspace}`
}

/** Hash: reads in this bucket, by `figure:keyspace`. */
export function readsKey(bucket: number): string {
  return `prewarm:gain:reads:${bucket}`
}

/** Hash: what each instance's pool was like lately, as JSON, by instance. */
export const POOLS_KEY = 'prewarm:gain:pools'
/** A pool that nobody has told of for this long is gone. */
export const POOL_KEPT_MS = 30_000

/** Adds counts to a hash. KEYS: it. ARGV: when it expires, ms since 1970; then for each field its name, its count. */
export const ADD_COUNTS: Script = {
  text: `
for at = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])
`,
}

/** Says that a cache tells of its reads: only then is it of use to note what was warmed. */
export const READERS_KEY = 'prewarm:gain:readers'
/** How long that is remembered after the last read: longer than a quiet weekend. */
export const READERS_KEPT_MS = 7 * 24 * 3_600_000

/**
 * As ADD_COUNTS, but only where a cache tells of its reads: 0 where none does, and nothing was written. So warming by itself
 * leaves no key but those that it warms. KEYS: the hash, READERS_KEY.
 */
export const ADD_WARMED: Script = {
  text: `
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
for at = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return 1
`,
}

/** Notes entries that were read. KEYS: where, the warmed ones' hash. ARGV: when both expire, the keyspace, the entries. */
export const ADD_ENTRIES: Script = {
  text: `
redis.call('PFADD', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
redis.call('HSETNX', KEYS[2], ARGV[2], 0)
return redis.call('PEXPIREAT', KEYS[2], ARGV[1])
`,
}

/** Notes a pool. KEYS: the hash. ARGV: ms to keep it, the instance, the figures as JSON with at_ms, now in ms. */
export const SET_POOL: Script = {
  text: `
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local ok, pool = pcall(cjson.decode, all[at + 1])
  if not ok or type(pool) ~= 'table' or (tonumber(pool.at_ms) or 0) < ARGV[4] - ARGV[1] then
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
`,
}

/** Whole hashes, each as a list of fields and values. KEYS: them. */
export const READ_HASHES: Script = {
  text: `
local out = {}
for i, key in ipairs(KEYS) do out[i] = redis.call('HGETALL', key) end
return out
`,
}

/** How many different entries each holds, about. KEYS: HyperLogLogs. */
export const COUNT_ENTRIES: Script = {
  text: `
local out = {}
for i, key in ipairs(KEYS) do out[i] = redis.call('PFCOUNT', key) end
return out
`,
}

/**
 * How many of `count` entries expire in which bucket, that are evenly spread between `fromMs` and `toMs` (ms since 1970).
 * Whole numbers whose sum is `count`.
 */
export function spread(count: number, fromMs: number, toMs: number): Map<number, number> {
  const counts = new Map<number, number>()
  const last = gainBucketOf(toMs)
  let before = 0
  for (let bucket = gainBucketOf(fromMs); bucket <= last; bucket++) {
    const endMs = (bucket + 1) * GAIN_BUCKET_MS
    const until = bucket === last ? count : Math.round((count * (endMs - fromMs)) / (toMs - fromMs))
    if (until > before) counts.set(bucket, until - before)
    before = until
  }
  return counts
}
