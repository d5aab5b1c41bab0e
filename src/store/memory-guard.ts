import type { Clock } from '../clock.ts'
import { toFailure } from '../errors.ts'
import type { StoreStats } from './types.ts'

/** What Redis told of its memory. */
export type MemoryState = Pick<StoreStats, 'usedMemoryBytes' | 'maxMemoryBytes' | 'evictionPolicy' | 'evictedKeys'>

/**
 * Whether there is room: `granted`; `wait` until Redis has told (`onChange` is called then); `full`: what is written now
 * pushes other keys out, or is refused.
 */
export type Room = 'granted' | 'wait' | 'full'

export interface MemoryGuardOptions {
  /** Asks Redis. @throws {PrewarmError} */
  ask: () => Promise<MemoryState>
  clock: Clock
  /** Share of `maxmemory` to be left free, 0 to 1. */
  reserve: () => number
  /** Told that asking again may help. */
  onChange: () => void
  /** Told, once each, of what keeps it from guarding, or makes guarding hard. */
  onWarning?: (text: string) => void
}

/** Bytes that were granted and may be written or not. */
export interface Grant {
  /** The batch has ended: what its keys took, if that is known. Safe to call twice. */
  settle(bytes?: number): void
}

/** Bound on an answer of Redis', ms. */
const TIMEOUT_MS = 2000
/** An answer holds for so long: without a bound, with much room, and near the limit, ms. */
const UNBOUNDED_MS = 10_000
const FAR_MS = 1000
const NEAR_MS = 250
/** Near the limit: less room than this share of it. */
const NEAR = 0.1
/** Writes that are further apart don't belong together, ms. */
const QUIET_MS = 300_000

const NO_GRANT: Grant = { settle() {} }

/**
 * Grants bytes of Redis' memory: what is free below `maxmemory` less the reserve, as Redis told last, less what was granted since.
 * Only half of the room is granted for each answer, so that estimates that are wrong by half do no harm, and Redis is asked
 * seldom while there is much: a run into an empty Redis asks a handful of times. Where `maxmemory` is 0 it is asked once a job.
 */
export class MemoryGuard {
  readonly #options: MemoryGuardOptions
  readonly #warned = new Set<string>()
  #state: MemoryState | undefined
  /** `blind`: Redis does not answer. */
  #mode: 'unknown' | 'unbounded' | 'bounded' | 'blind' | 'forbidden' = 'unknown'
  #toldMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  /** A job has begun since: what was told before may not hold. */
  #isStale = true
  /** Below the limit, and below `maxmemory`, as Redis told; what it may not have seen of that. */
  #free = 0
  #spare = 0
  #doubt = 0
  /** Since the last answer. */
  #granted = 0
  /** Granted, and not settled; and what of that, and granted since, Redis' next answer may not know of. */
  #unsettled = 0
  /** Grants that are not settled. */
  #open = 0
  #unseen = 0
  #activeSinceMs = Number.NEGATIVE_INFINITY
  #lastGrantMs = Number.NEGATIVE_INFINITY

  constructor(options: MemoryGuardOptions) {
    this.#options = options
  }

  /** What Redis told last; undefined before that. */
  get state(): MemoryState | undefined {
    return this.#state
  }

  /** Redis has a bound, as far as is known. */
  get isBounded(): boolean {
    return this.#mode === 'bounded' || this.#mode === 'blind'
  }

  /** How long it has been granting, at most five minutes: keys that were not read for longer are not of these grants. ms */
  get activeMs(): number {
    const nowMs = this.#nowMs()
    return nowMs - this.#lastGrantMs > QUIET_MS ? 0 : Math.min(QUIET_MS, nowMs - this.#activeSinceMs)
  }

  /** A job begins: Redis is asked. Resolves when it has told. */
  begin(): Promise<void> {
    this.#isStale = true
    return this.refresh()
  }

  /** Whether `bytes` may be written, `intoReserve` also where only the reserve is left. Grants nothing yet: that does `take`. */
  room(bytes: number, intoReserve = false): Room {
    if (this.#mode === 'unknown' || this.#isStale) {
      void this.refresh()
      return 'wait'
    }
    const ageMs = this.#nowMs() - this.#toldMs
    if (this.#mode === 'unbounded' || this.#mode === 'forbidden') {
      if (ageMs >= UNBOUNDED_MS) void this.refresh()
      return 'granted'
    }
    const isFresh = this.#granted === 0
    // One batch for each question: what it meets tells why there is no answer.
    if (this.#mode === 'blind' && isFresh) return 'granted'
    const free = intoReserve ? this.#spare : this.#free
    const room = Math.max(0, free - this.#doubt)
    if (this.#mode === 'bounded') {
      const isNear = this.#free < NEAR * (this.#state?.maxMemoryBytes ?? 0)
      if (ageMs >= (isNear ? NEAR_MS : FAR_MS) || this.#granted > room / 4) void this.refresh()
      if (bytes > free) return 'full'
      if (this.#granted + bytes <= room / 2 || (isFresh && bytes <= room)) return 'granted'
    }
    // Where only what is on its way is in doubt, its end tells.
    if (!isFresh || this.#open === 0) void this.refresh()
    return 'wait'
  }

  /** Takes `bytes` of the room. */
  take(bytes: number): Grant {
    const nowMs = this.#nowMs()
    if (nowMs - this.#lastGrantMs > QUIET_MS) this.#activeSinceMs = nowMs
    this.#lastGrantMs = nowMs
    if (this.#mode !== 'bounded' && this.#mode !== 'blind') return NO_GRANT
    this.#granted += bytes
    this.#unsettled += bytes
    this.#open++
    this.#unseen += bytes
    let isSettled = false
    return {
      settle: (actual = 0) => {
        if (isSettled) return
        isSettled = true
        this.#open--
        // A sum of fractions would not come back to nothing.
        this.#unsettled = this.#open === 0 ? 0 : this.#unsettled - bytes
        // More than was thought is gone; less will be seen by Redis.
        this.#granted += Math.max(0, actual - bytes)
      },
    }
  }

  /** Asks Redis how it is now; one question at a time. Never rejects. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
      this.#options.onChange()
    })
    return this.#asking
  }

  /** From an arbitrary start: the wall clock may be put back. */
  #nowMs(): number {
    return this.#options.clock.nowNs() / 1e6
  }

  async #ask(): Promise<void> {
    const { ask, clock } = this.#options
    // What is on its way may arrive after the answer was made.
    this.#unseen = this.#unsettled
    const answered = new AbortController()
    const late = clock.sleep(TIMEOUT_MS, answered.signal).then(() => {
      throw new Error(`no answer within ${TIMEOUT_MS} ms`)
    })
    try {
      this.#learn(await Promise.race([ask(), late]))
    } catch (error) {
      this.#failed(error)
    } finally {
      late.catch(() => {})
      answered.abort()
    }
    this.#toldMs = this.#nowMs()
    this.#isStale = false
    this.#granted = 0
  }

  #learn(state: MemoryState): void {
    const before = this.#state
    this.#state = state
    const { maxMemoryBytes, usedMemoryBytes, evictionPolicy, evictedKeys } = state
    this.#mode = maxMemoryBytes > 0 ? 'bounded' : 'unbounded'
    if (this.#mode === 'unbounded') return
    if (evictionPolicy === 'volatile-ttl')
      this.#warn('Redis drops the keys that expire soonest first (volatile-ttl): warmed keys with short TTLs go first')
    const wasAskedLately = this.#nowMs() - this.#toldMs < 2 * FAR_MS
    // Keys go although there seemed to be room: others write, or more is written than was thought.
    const isEvicting = before !== undefined && wasAskedLately && evictedKeys > before.evictedKeys
    const limit = Math.floor(maxMemoryBytes * (1 - this.#options.reserve()))
    this.#free = isEvicting ? 0 : Math.max(0, limit - usedMemoryBytes)
    this.#spare = Math.max(0, maxMemoryBytes - usedMemoryBytes)
    this.#doubt = this.#unseen
  }

  /** Where INFO is forbidden nothing can be guarded. */
  #failed(error: unknown): void {
    const { code, message } = toFailure(error)
    if (code === 'STORE_REFUSED') {
      this.#mode = 'forbidden'
      this.#warn(`what Redis holds is not guarded, for it does not tell how much memory it has left: ${message}`)
    } else if (this.#mode !== 'unbounded') this.#mode = 'blind'
  }

  #warn(text: string): void {
    if (this.#warned.has(text)) return
    this.#warned.add(text)
    this.#options.onWarning?.(text)
  }
}
