import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import { ADD_READS, BUCKET_KEYS, bucketKey, bucketOf, KEPT_MS, LAST_KEY } from './buckets.ts'

export interface AccessLogOptions {
  commands: Commands
  clock: Clock
  /** Keys counted between two flushes; when there are more, those read least are forgotten. @default 10_000 */
  capacity?: number
  /** Time between two flushes, ms. @default 5000 */
  flushMs?: number
  /** Told why a flush failed; its reads are sent with the next one. */
  onError?: (error: unknown) => void
}

interface Count {
  reads: number
  lastMs: number
}

/** Keys of one script call: it blocks the server while it runs. */
const CHUNK = 1000
/** A longer key is a mistake, and is not counted. In characters. */
const MAX_KEY_LENGTH = 4096
/** Share of the keys that goes when there are too many: looking for the least read one at each new key would be dear. */
const FORGOTTEN = 0.2

/**
 * Counts which keys are read: in memory, and every few seconds in Redis, for all processes together. Only users' reads
 * belong here; what the warmer itself reads and writes is no demand.
 *
 * The counts are for ranking: a flush whose answer was lost may be counted twice, and what is read rarely may be forgotten.
 */
export class AccessLog {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #capacity: number
  readonly #flushMs: number
  readonly #onError: (error: unknown) => void
  /** Not in Redis yet, by bucket: one, or two for a moment when a bucket ends. */
  readonly #unsent = new Map<number, Map<string, Count>>()
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
    for (const counts of this.#unsent.values()) size += counts.size
    return size
  }

  /** Counts one read. */
  record(key: string): void {
    const nowMs = this.#clock.nowMs()
    this.#add(bucketOf(nowMs), key, 1, nowMs)
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

  #add(bucket: number, key: string, reads: number, lastMs: number): void {
    if (key === '' || key.length > MAX_KEY_LENGTH) return
    let counts = this.#unsent.get(bucket)
    if (counts === undefined) {
      counts = new Map()
      this.#unsent.set(bucket, counts)
      // While Redis is away, the latest reads are the ones worth keeping.
      if (this.#unsent.size > 2) this.#unsent.delete(Math.min(...this.#unsent.keys()))
    }
    const count = counts.get(key)
    if (count !== undefined) {
      count.reads += reads
      count.lastMs = Math.max(count.lastMs, lastMs)
      return
    }
    if (counts.size >= this.#capacity) forgetLeast(counts, Math.ceil(this.#capacity * FORGOTTEN))
    counts.set(key, { reads, lastMs })
  }

  async #send(): Promise<void> {
    const sending = [...this.#unsent]
    this.#unsent.clear()
    const chunks = sending.flatMap(([bucket, counts]) => chunksOf(bucket, [...counts]))
    for (const [index, { bucket, counts }] of chunks.entries()) {
      const args = counts.flatMap(([key, { reads, lastMs }]) => [key, reads, lastMs])
      try {
        await this.#commands.script(ADD_READS, [bucketKey(bucket), LAST_KEY], [BUCKET_KEYS, KEPT_MS, ...args])
      } catch (error) {
        for (const left of chunks.slice(index))
          for (const [key, { reads, lastMs }] of left.counts) this.#add(left.bucket, key, reads, lastMs)
        this.#onError(error)
        return
      }
    }
  }
}

function chunksOf(bucket: number, counts: [string, Count][]): { bucket: number; counts: [string, Count][] }[] {
  const chunks = []
  for (let at = 0; at < counts.length; at += CHUNK) chunks.push({ bucket, counts: counts.slice(at, at + CHUNK) })
  return chunks
}

/** Drops the `count` keys with the fewest reads; of equals, those that came first. */
function forgetLeast(counts: Map<string, Count>, count: number): void {
  const least = [...counts].sort(([, a], [, b]) => a.reads - b.reads).slice(0, count)
  for (const [key] of least) counts.delete(key)
}
