import type { Clock } from '../clock.ts'
import type { Commands, HotKey, Predictor } from '../coordination/types.ts'
import { BUCKET_KEYS, BUCKET_MS, bucketKey, bucketOf, LAST_KEY } from './buckets.ts'
import { heuristicScore, type Reads, reasonOf } from './score.ts'

/** The longest window: two of them are kept. */
const MAX_WINDOW_MS = 12 * 3_600_000
/** Earlier reads than this earn no bonus, so that their time does not matter. */
const RECENT_MS = 30 * 60_000
/** Members read of all buckets together, and asked of Redis at once. */
const MAX_MEMBERS = 300_000
const AT_ONCE = 8

/**
 * Predicts by rule: `score = frequency * (1 + growth) * bonus`, from the access log in Redis.
 *
 * A window is a whole number of five-minute buckets that ends now: the oldest bucket counts for the part that lies in it, as
 * if its reads were spread evenly. Of long windows only the most read keys of each bucket are looked at.
 */
export class HeuristicPredictor implements Predictor {
  readonly #commands: Commands
  readonly #clock: Clock

  constructor({ commands, clock }: { commands: Commands; clock: Clock }) {
    this.#commands = commands
    this.#clock = clock
  }

  /**
   * @param options `limit`: at most this many keys. `windowMs`: rounded up to 5 min, at most 12 h. @default 1 h
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  async predict({ limit, windowMs = 3_600_000 }: { limit: number; windowMs?: number }): Promise<HotKey[]> {
    const nowMs = this.#clock.nowMs()
    const count = Math.max(1, Math.ceil(Math.min(windowMs, MAX_WINDOW_MS) / BUCKET_MS))
    const [buckets, last] = await Promise.all([this.#buckets(bucketOf(nowMs), 2 * count + 1), this.#lastReads(nowMs)])
    const reads = readsOf(buckets, last, nowMs)
    const hot: HotKey[] = []
    for (const [key, read] of reads) {
      const score = heuristicScore(read, count * BUCKET_MS)
      if (score.score > 0) hot.push({ key, score: score.score, reason: reasonOf(score, read) })
    }
    // Equals in a fixed order, so that the same log gives the same answer.
    hot.sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1))
    return hot.slice(0, Math.max(0, limit))
  }

  /** Reads by key, of the current bucket and those before it. */
  async #buckets(current: number, count: number): Promise<Map<string, number>[]> {
    const members = Math.min(BUCKET_KEYS, Math.ceil(MAX_MEMBERS / count))
    const buckets: Map<string, number>[] = []
    for (let at = 0; at < count; at += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, index) => current - at - index)
      const replies = await Promise.all(
        some.map((bucket) => this.#commands.call('ZREVRANGE', bucketKey(bucket), 0, members - 1, 'WITHSCORES')),
      )
      buckets.push(...replies.map(scoresOf))
    }
    return buckets
  }

  async #lastReads(nowMs: number): Promise<Map<string, number>> {
    const args = [LAST_KEY, '+inf', nowMs - RECENT_MS, 'WITHSCORES', 'LIMIT', 0, BUCKET_KEYS]
    return scoresOf(await this.#commands.call('ZREVRANGEBYSCORE', ...args))
  }
}

/** @param buckets the current one first, then backwards; twice a window's, and one more */
function readsOf(
  buckets: readonly Map<string, number>[],
  last: ReadonlyMap<string, number>,
  nowMs: number,
): Map<string, Reads> {
  const count = (buckets.length - 1) / 2
  const passed = (nowMs % BUCKET_MS) / BUCKET_MS
  const all = new Map<string, Reads>()
  for (const [index, bucket] of buckets.entries()) {
    // No read of a bucket is older than its beginning.
    const oldestMs = nowMs - (bucketOf(nowMs) - index) * BUCKET_MS
    const recentShare = index < count ? 1 : index === count ? 1 - passed : 0
    const historicalShare = index < count ? 0 : index === count ? passed : index < 2 * count ? 1 : 1 - passed
    for (const [key, reads] of bucket) {
      let one = all.get(key)
      if (one === undefined) {
        const lastMs = last.get(key)
        one = { recent: 0, historical: 0, ageMs: Math.min(oldestMs, lastMs === undefined ? oldestMs : nowMs - lastMs) }
        all.set(key, one)
      }
      one.recent += reads * recentShare
      one.historical += reads * historicalShare
    }
  }
  return all
}

/** What `WITHSCORES` answers: members and scores in turn (RESP2), or in pairs (RESP3). */
function scoresOf(reply: unknown): Map<string, number> {
  const flat = (reply as (string | string[])[]).flat()
  const scores = new Map<string, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) scores.set(flat[at] as string, Number(flat[at + 1]))
  return scores
}
