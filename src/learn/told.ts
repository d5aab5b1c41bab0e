import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import type { ReadCounters } from '../gain/read-counters.ts'
import type { AccessLog } from '../predict/access-log.ts'
import { ADD_READS, BUCKET_KEYS, BUCKET_MS, bucketKey, bucketOf, KEPT_MS, LAST_KEY } from '../predict/buckets.ts'

/** Reads of one key that an application tells of. */
export interface ToldReads {
  key: string
  /** At least 1. */
  count: number
  /** When, ms since 1970; of several the last. */
  atMs: number
  /** Where they were served from; `origin` is a miss. Absent: they do not count for the hit rate. */
  tier?: 'memory' | 'redis' | 'origin' | undefined
}

/** How much a caller's clock may be ahead of ours, ms. */
const AHEAD_MS = 60_000
/** Keys of one script call: it blocks the server while it runs. */
const CHUNK = 1000

/** Why reads of that time can't be taken; null: they can. What the access log would not keep is refused. */
export function refusedTime(atMs: number, nowMs: number): string | null {
  if (atMs > nowMs + AHEAD_MS) return 'is in the future'
  return bucketOf(atMs) < bucketOf(nowMs - KEPT_MS) ? `is more than ${KEPT_MS / 3_600_000} hours ago` : null
}

/** Counts what applications tell of, also of earlier hours. */
export class ToldReadsLog {
  readonly #access: Pick<AccessLog, 'record'>
  readonly #counters: Pick<ReadCounters, 'told'>
  readonly #commands: Commands
  readonly #clock: Clock

  constructor(parts: {
    access: Pick<AccessLog, 'record'>
    counters: Pick<ReadCounters, 'told'>
    commands: Commands
    clock: Clock
  }) {
    this.#access = parts.access
    this.#counters = parts.counters
    this.#commands = parts.commands
    this.#clock = parts.clock
  }

  /**
   * What is recent is counted in memory, as a cache's reads are; what is older goes to Redis at once.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`: the recent ones are not counted then, of the older ones
   * some may be
   */
  async add(reads: readonly ToldReads[]): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const recentFromMs = (bucketOf(nowMs) - 1) * BUCKET_MS
    const older = new Map<number, ToldReads[]>()
    for (const read of reads) {
      if (read.atMs >= recentFromMs) continue
      const bucket = bucketOf(read.atMs)
      const there = older.get(bucket)
      if (there === undefined) older.set(bucket, [read])
      else there.push(read)
    }
    for (const [bucket, some] of older) await this.#send(bucket, some)
    for (const { key, count, atMs, tier } of reads) {
      if (atMs >= recentFromMs) this.#access.record(key, tier, Math.min(atMs, nowMs), count)
      if (tier !== undefined) this.#counters.told({ tier, filledBy: 'unknown' }, count)
    }
  }

  async #send(bucket: number, reads: readonly ToldReads[]): Promise<void> {
    for (let at = 0; at < reads.length; at += CHUNK) {
      const args = reads.slice(at, at + CHUNK).flatMap(({ key, count, atMs }) => [key, count, atMs])
      await this.#commands.script(ADD_READS, [bucketKey(bucket), LAST_KEY], [BUCKET_KEYS, KEPT_MS, ...args])
    }
  }
}
