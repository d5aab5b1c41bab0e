import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import {
  ADD_READS,
  ADD_TIERS,
  BUCKET_KEYS,
  BUCKET_MS,
  bucketKey,
  bucketOf,
  KEPT_MS,
  LAST_KEY,
  tiersKey,
} from './buckets.ts'
import { type Count, HotCounts } from './hot-counts.ts'

export interface AccessLogOptions {
  commands: Commands
  clock: Clock
  /** Counters for the reads between two flushes; where there are more keys, those read least are forgotten. @default 10_000 */
  capacity?: number
  /** Time between two flushes, ms. @default 5000 */
  flushMs?: number
  /** Told why a flush failed; its reads are sent with the next one. */
  onError?: (error: unknown) => void
}

/** Where a value was found; `origin` is a miss. */
type Tier = 'memory' | 'redis' | 'origin'

/** What was read in one bucket and is not in Redis yet. */
class Unsent {
  readonly counts: HotCounts
  readonly tiers = { memory: 0, redis: 0, origin: 0 }

  constructor(capacity: number) {
    this.counts = new HotCounts(capacity)
  }
}

/** Keys of one script call: it blocks the server while it runs. */
const CHUNK = 1000
/** A longer key is a mistake, and is not counted. In characters. */
const MAX_KEY_LENGTH = 4096

/**
 * Counts which keys are read: in memory, and every few seconds in Redis, for all processes together. Only users' reads
 * belong here; what the warmer itself reads and writes is no demand.
 *
 * The counts are for ranking: a flush whose answer was lost may be counted twice, and what is read rarely may be forgotten:
 * of more keys than `capacity`, a key that had more than one in `capacity / 10` of all reads since the last flush never is
 * ({@linkcode HotCounts}).
 */
export class AccessLog {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #capacity: number
  readonly #flushMs: number
  readonly #onError: (error: unknown) => void
  /** Not in Redis yet, by bucket: one, or two for a moment when a bucket ends. */
  readonly #unsent = new Map<number, Unsent>()
  /** The bucket that was read in last: nearly every read is in it. */
  #latest: Unsent | undefined
  #latestFromMs = 0
  #flushing: Promise<void> = Promise.resolve()
  #takeBackTimer: (() => void) | undefined
  #isStarted = false

  constructor({ commands, clock, capacity = 10_000, flushMs = 5000, onError = () => {} }: AccessLogOptions) {
    if (!(capacity >= 1))
      throw new RangeError(`Cannot create AccessLog: capacity must be >= 1, current value is ${capacity}`)
    if (!(flushMs >= 1))
      throw new RangeError(`Cannot create AccessLog: flushMs must be >= 1, current value is ${flushMs}`)
    this.#commands = commands
    this.#clock = clock
    this.#capacity = capacity
    this.#flushMs = flushMs
    this.#onError = onError
  }

  /** Keys that are counted and not in Redis yet. */
  get size(): number {
    let size = 0
    for (const { counts } of this.#unsent.values()) size += counts.size
    return size
  }

  /**
   * Counts a read, by where it was served from if that is told.
   *
   * @param nowMs ms since 1970. Of the latest two buckets only, while Redis can't be reached
   * @param times reads of that key at once
   */
  record(key: string, tier?: Tier, nowMs = this.#clock.nowMs(), times = 1): void {
    if (key === '' || key.length > MAX_KEY_LENGTH) return
    let unsent = this.#latest
    const age = nowMs - this.#latestFromMs
    if (unsent === undefined || age < 0 || age >= BUCKET_MS) {
      const bucket = bucketOf(nowMs)
      unsent = this.#latest = this.#in(bucket)
      this.#latestFromMs = bucket * BUCKET_MS
    }
    unsent.counts.add(key, times, nowMs)
    if (tier !== undefined) unsent.tiers[tier] += times
  }

  /** Flushes every few seconds from now on. Safe to call twice. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#arm()
  }

  /** Flushes for the last time. Safe to call twice, never throws. */
  async stop(): Promise<void> {
    this.#isStarted = false
    this.#takeBackTimer?.()
    this.#takeBackTimer = undefined
    await this.flush()
  }

  /** Sends what was counted to Redis; resolves when that was tried. Never throws. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#send())
    return this.#flushing
  }

  #arm(): void {
    this.#takeBackTimer?.()
    this.#takeBackTimer = this.#clock.after(this.#flushMs, () => {
      void this.flush().then(() => {
        if (this.#isStarted) this.#arm()
      })
    })
  }

  #in(bucket: number): Unsent {
    let unsent = this.#unsent.get(bucket)
    if (unsent === undefined) {
      unsent = new Unsent(this.#capacity)
      this.#unsent.set(bucket, unsent)
      // While Redis is away, the latest reads are the ones worth keeping.
      if (this.#unsent.size > 2) this.#forget(Math.min(...this.#unsent.keys()))
    }
    return unsent
  }

  #forget(bucket: number): void {
    if (this.#unsent.get(bucket) === this.#latest) this.#latest = undefined
    this.#unsent.delete(bucket)
  }

  async #send(): Promise<void> {
    const sending = [...this.#unsent]
    this.#unsent.clear()
    this.#latest = undefined
    const calls = sending.flatMap(([bucket, unsent]) => this.#callsOf(bucket, unsent))
    for (const [index, call] of calls.entries()) {
      try {
        await call.send()
      } catch (error) {
        for (const left of calls.slice(index)) left.takeBack()
        this.#onError(error)
        return
      }
    }
  }

  #callsOf(bucket: number, { counts, tiers }: Unsent): { send(): Promise<unknown>; takeBack(): void }[] {
    const calls = chunksOf([...counts.entries()]).map((chunk) => ({
      send: () => {
        const args = chunk.flatMap(([key, { reads, lastMs }]) => [key, reads, lastMs])
        return this.#commands.script(ADD_READS, [bucketKey(bucket), LAST_KEY], [BUCKET_KEYS, KEPT_MS, ...args])
      },
      takeBack: () => {
        for (const [key, { reads, lastMs }] of chunk) this.#in(bucket).counts.add(key, reads, lastMs)
      },
    }))
    const told = (['memory', 'redis', 'origin'] as const).filter((tier) => tiers[tier] > 0)
    if (told.length > 0) {
      const args = told.flatMap((tier) => [tier, tiers[tier]])
      calls.push({
        send: () => this.#commands.script(ADD_TIERS, [tiersKey(bucket)], [KEPT_MS, ...args]),
        takeBack: () => {
          for (const tier of told) this.#in(bucket).tiers[tier] += tiers[tier]
        },
      })
    }
    return calls
  }
}

function chunksOf(counts: [string, Count][]): [string, Count][][] {
  const chunks = []
  for (let at = 0; at < counts.length; at += CHUNK) chunks.push(counts.slice(at, at + CHUNK))
  return chunks
}
