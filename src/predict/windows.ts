import type { Commands } from '../coordination/types.ts'
import { BUCKET_KEYS, BUCKET_MS, bucketKey, bucketOf, LAST_KEY } from './buckets.ts'
import type { Count } from './hot-counts.ts'
import type { AccessWindow } from './types.ts'

/** Members read of all buckets together, and buckets asked of Redis at once. */
const MAX_MEMBERS = 300_000
const AT_ONCE = 8

/**
 * What the access log in Redis tells of a stretch of time, in whole buckets of five minutes: of long stretches only the most
 * read keys of each bucket are looked at. When a key was last read is known of the latest ones; of others the beginning of
 * the last bucket with a read of them counts.
 *
 * @param of ms since 1970; widened to whole buckets
 * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
 */
export async function readWindow(commands: Commands, of: { fromMs: number; toMs: number }): Promise<AccessWindow> {
  const first = bucketOf(of.fromMs)
  const last = Math.max(first, Math.ceil(of.toMs / BUCKET_MS) - 1)
  const members = Math.min(BUCKET_KEYS, Math.ceil(MAX_MEMBERS / (last - first + 1)))
  const keys = new Map<string, Count>()
  let reads = 0
  for (let at = first; at <= last; at += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, last - at + 1) }, (_, index) => at + index)
    const replies = await Promise.all(
      some.map((bucket) => commands.call('ZREVRANGE', bucketKey(bucket), 0, members - 1, 'WITHSCORES')),
    )
    for (const [index, reply] of replies.entries()) {
      const lastMs = (at + index) * BUCKET_MS
      for (const [key, count] of scoresOf(reply)) {
        reads += count
        const before = keys.get(key)
        if (before === undefined) keys.set(key, { reads: count, lastMs })
        else {
          before.reads += count
          before.lastMs = lastMs
        }
      }
    }
  }
  if (keys.size > 0) await addLastReads(commands, keys, { fromMs: first * BUCKET_MS, toMs: of.toMs })
  return { fromMs: first * BUCKET_MS, toMs: (last + 1) * BUCKET_MS, reads, keys }
}

async function addLastReads(
  commands: Commands,
  keys: Map<string, Count>,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<void> {
  const reply = await commands.call('ZREVRANGEBYSCORE', LAST_KEY, toMs, fromMs, 'WITHSCORES', 'LIMIT', 0, BUCKET_KEYS)
  for (const [key, lastMs] of scoresOf(reply)) {
    const count = keys.get(key)
    if (count !== undefined) count.lastMs = Math.max(count.lastMs, lastMs)
  }
}

/** What `WITHSCORES` answers: members and scores in turn (RESP2), or in pairs (RESP3). */
function scoresOf(reply: unknown): Map<string, number> {
  const flat = (reply as (string | string[])[]).flat()
  const scores = new Map<string, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) scores.set(flat[at] as string, Number(flat[at + 1]))
  return scores
}
