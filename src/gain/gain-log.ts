import type { CacheObserver, ReadTold, Tier } from '../cache/types.ts'
import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import {
  ADD_COUNTS,
  ADD_ENTRIES,
  ADD_WARMED,
  GAIN_BUCKET_MS,
  GAIN_KEPT_MS,
  gainBucketOf,
  gainExpiryOf,
  MEASURED_MS,
  POOL_KEPT_MS,
  POOLS_KEY,
  READERS_KEPT_MS,
  READERS_KEY,
  readKey,
  readsKey,
  SET_POOL,
  spread,
  warmedKey,
} from './buckets.ts'
import { CostMeter } from './costs.ts'
import { type EntryGroup, ReadEntries } from './entries.ts'
import { ReadCounters } from './read-counters.ts'

/** How many can work, how many of them are free, and how much waits for them. */
export interface PoolFigures {
  size: number
  available: number
  pending: number
}

export interface GainLogOptions {
  commands: Commands
  clock: Clock
  /** @default new ones */
  counters?: ReadCounters
  /** Is told of each read, too, and starts and stops with this: what prediction goes by. */
  access?: { record(key: string, tier: Tier): void; start(): void; stop(): Promise<void> }
  /** What others are to know of this instance's pool, at each flush once it was started. */
  pool?: { instance: string; figures: () => PoolFigures }
  /** Time between two flushes, ms. @default 5000 */
  flushMs?: number
  /** Read entries that wait for a flush, and as many that are remembered as told. @default 20_000 */
  capacity?: number
  /** Told why a flush failed; what it had to send is sent with the next one. */
  onError?: (error: unknown) => void
}

/** Entries of one script call. */
const CHUNK = 1000
/** Buckets that warmed entries wait for: more only gather while Redis is away for a day. */
const MAX_WARMED = 300

/**
 * Tells Redis, every few seconds and by batch, what readers found and what warming wrote: for all processes together, so
 * that it can be said what warming has gained. The warmer's own reads do not belong here.
 *
 * Figures are for people: a flush whose answer was lost may be counted twice.
 */
export class GainLog implements Omit<CacheObserver, 'warmed'> {
  readonly counters: ReadCounters
  /** What loading tasks' keys costs; told with each flush. */
  readonly costs: CostMeter
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #access: GainLogOptions['access']
  readonly #pool: GainLogOptions['pool']
  readonly #flushMs: number
  readonly #onError: (error: unknown) => void
  readonly #entries: ReadEntries
  readonly #hurryAt: number
  /** What had been counted when Redis was told last. */
  #told = new Map<string, number>()
  /** Warmed and not told, by bucket and task. */
  readonly #warmed = new Map<number, Map<string, number>>()
  /** Groups whose telling failed. */
  #unsent: EntryGroup[] = []
  #flushing: Promise<void> = Promise.resolve()
  #takeBackTimer: (() => void) | undefined
  #isStarted = false
  #isEarly = false

  constructor(options: GainLogOptions) {
    const { commands, clock, counters = new ReadCounters(), access, pool, flushMs = 5000, capacity = 20_000 } = options
    if (!(flushMs >= 1))
      throw new RangeError(`Cannot create GainLog: flushMs must be >= 1, current value is ${flushMs}`)
    if (!(capacity >= 1))
      throw new RangeError(`Cannot create GainLog: capacity must be >= 1, current value is ${capacity}`)
    this.#commands = commands
    this.#clock = clock
    this.counters = counters
    this.#access = access
    this.#pool = pool
    this.#flushMs = flushMs
    this.#onError = options.onError ?? (() => {})
    this.costs = new CostMeter({ commands, clock, onError: this.#onError })
    this.#entries = new ReadEntries(capacity)
    this.#hurryAt = Math.ceil(capacity / 2)
  }

  /** Read entries that there was no room for: they count as never read. */
  get dropped(): number {
    return this.#entries.dropped
  }

  read(told: ReadTold): void {
    this.counters.read(told)
    this.#entries.note(told)
    if (this.#isStarted && !this.#isEarly && this.#entries.waiting >= this.#hurryAt) this.#hurry()
    this.#access?.record(told.key, told.tier)
  }

  error(of: { keyspace: string | null; tier: Tier }): void {
    this.counters.error(of)
  }

  invalidated(count: number): void {
    this.counters.invalidated(count)
  }

  /**
   * Entries that warming has written just now. Those that live for more than a day are not measured. Redis is told of them
   * once a cache has told of reads within a week: before that it would be of no use.
   *
   * @param of `ttlMs`: how long they live at most; `jitter`: share of that by which one may expire early, 0 to 1
   */
  warmed(of: { task: string; keys: number; ttlMs: number; jitter: number }): void {
    if (!(of.keys > 0) || of.ttlMs > MEASURED_MS) return
    const lastMs = this.#clock.nowMs() + of.ttlMs
    for (const [bucket, count] of spread(of.keys, lastMs - of.ttlMs * of.jitter, lastMs))
      this.#addWarmed(bucket, of.task, count)
  }

  /** Flushes every few seconds from now on. Safe to call twice. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#access?.start()
    this.#arm()
  }

  /** Flushes for the last time. Safe to call twice, also without a start; never throws. */
  async stop(): Promise<void> {
    this.#isStarted = false
    this.#takeBackTimer?.()
    this.#takeBackTimer = undefined
    await Promise.all([this.flush(), this.#access?.stop()])
  }

  /** Tells Redis what there is to tell; resolves when that was tried. Never throws. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#send())
    return this.#flushing
  }

  /** There is little room left until the next flush: it comes now. */
  #hurry(): void {
    this.#isEarly = true
    void this.flush().then(() => {
      // Not again at once where Redis is away: the next one is when it is due.
      if (this.#entries.waiting < this.#hurryAt && this.#unsent.length === 0) this.#isEarly = false
    })
  }

  #arm(): void {
    this.#takeBackTimer?.()
    this.#takeBackTimer = this.#clock.after(this.#flushMs, () => {
      this.#isEarly = false
      void this.flush().then(() => {
        if (this.#isStarted) this.#arm()
      })
    })
  }

  #addWarmed(bucket: number, task: string, count: number): void {
    let tasks = this.#warmed.get(bucket)
    if (tasks === undefined) {
      tasks = new Map()
      this.#warmed.set(bucket, tasks)
      if (this.#warmed.size > MAX_WARMED) this.#warmed.delete(Math.min(...this.#warmed.keys()))
    }
    tasks.set(task, (tasks.get(task) ?? 0) + count)
  }

  async #send(): Promise<void> {
    try {
      await this.#sendReads()
      await this.#sendWarmed()
      await this.#sendEntries()
      await this.#sendPool()
      await this.costs.send()
    } catch (error) {
      this.#onError(error)
    }
  }

  async #sendReads(): Promise<void> {
    const now = this.counters.flat()
    const args: (string | number)[] = []
    for (const [field, count] of now) {
      const more = count - (this.#told.get(field) ?? 0)
      if (more > 0) args.push(field, more)
    }
    if (args.length === 0) return
    const bucket = gainBucketOf(this.#clock.nowMs())
    await this.#commands.script(ADD_COUNTS, [readsKey(bucket)], [gainExpiryOf(bucket), ...args])
    const isObserved = (now.get('observed:') ?? 0) > (this.#told.get('observed:') ?? 0)
    this.#told = now
    if (isObserved) await this.#commands.call('SET', READERS_KEY, 1, 'PX', READERS_KEPT_MS)
  }

  async #sendWarmed(): Promise<void> {
    const oldest = gainBucketOf(this.#clock.nowMs()) - GAIN_KEPT_MS / GAIN_BUCKET_MS
    for (const [bucket, tasks] of [...this.#warmed]) {
      this.#warmed.delete(bucket)
      if (bucket < oldest) continue
      const takeBack = () => {
        for (const [task, count] of tasks) this.#addWarmed(bucket, task, count)
      }
      const args = [gainExpiryOf(bucket), ...[...tasks].flat()]
      try {
        // Kept while nobody reads through a cache: the first one may come later.
        if ((await this.#commands.script(ADD_WARMED, [warmedKey(bucket), READERS_KEY], args)) === 0) takeBack()
      } catch (error) {
        takeBack()
        throw error
      }
    }
  }

  async #sendEntries(): Promise<void> {
    // What waits here for Redis to come back is not taken from where it is bounded.
    if (this.#unsent.length === 0) this.#unsent = this.#entries.take(CHUNK, this.#clock.nowMs() + MEASURED_MS)
    for (let group = this.#unsent[0]; group !== undefined; group = this.#unsent[0]) {
      const { bucket, keyspace, entries } = group
      const expiry = gainExpiryOf(bucket)
      await this.#commands.script(
        ADD_ENTRIES,
        [readKey(bucket, keyspace), warmedKey(bucket)],
        [expiry, keyspace, ...entries],
      )
      this.#unsent.shift()
    }
  }

  async #sendPool(): Promise<void> {
    if (this.#pool === undefined || !this.#isStarted) return
    const { instance, figures } = this.#pool
    const nowMs = this.#clock.nowMs()
    const text = JSON.stringify({ ...figures(), at_ms: nowMs })
    await this.#commands.script(SET_POOL, [POOLS_KEY], [POOL_KEPT_MS, instance, text, nowMs])
  }
}
