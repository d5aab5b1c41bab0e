import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { RateCount, RateCounter } from './types.ts'

export interface RateLimit {
  /** Requests in any window. */
  max: number
  windowMs: number
}

/** Requests that began within one grain of each other. */
interface Entry {
  startMs: number
  count: number
}

/** Up to this many requests each keep their own time; of a larger limit, those of a hundredth of the window share one. */
const EXACT = 100

/** How long one entry takes requests in, ms; 0: it holds one. Bounds a subject's log to about {@linkcode EXACT} entries. */
export function grainOf({ max, windowMs }: RateLimit): number {
  return max <= EXACT ? 0 : Math.ceil(windowMs / EXACT)
}

/**
 * A {@linkcode RateCounter} of this process alone: a sliding log of what was allowed, so that no window whatever holds
 * more than `max`. Beyond `subjects` the ones not seen for longest are forgotten.
 */
export class MemoryRateCounter implements RateCounter {
  readonly #clock: Pick<Clock, 'nowNs'>
  readonly #logs: LRUCache<string, Entry[]>

  /** @param subjects at most this many are remembered. @default 10_000 */
  constructor(clock: Pick<Clock, 'nowNs'>, subjects = 10_000) {
    this.#clock = clock
    this.#logs = new LRUCache({ max: subjects })
  }

  async take(subject: string, limit: RateLimit): Promise<RateCount> {
    return this.takeNow(subject, limit)
  }

  /** As {@linkcode take}, at once. */
  takeNow(subject: string, limit: RateLimit): RateCount {
    const before = this.look(subject, limit)
    if (!before.allowed) return before
    this.note(subject, limit)
    const after = this.look(subject, limit)
    return { ...after, allowed: true }
  }

  /** What a request would be told; counts nothing. */
  look(subject: string, limit: RateLimit): RateCount {
    const { max } = limit
    const log = this.#current(subject, limit)
    const used = log.reduce((sum, { count }) => sum + count, 0)
    const leftMs = (entry: Entry | undefined) => (entry === undefined ? 0 : this.#endMs(entry, limit) - this.#nowMs())
    return {
      allowed: used < max,
      limit: max,
      remaining: Math.max(0, max - used),
      retryInMs: used < max ? 0 : leftMs(log[0]),
      resetInMs: leftMs(log.at(-1)),
    }
  }

  /** Counts a request that was allowed, here or by somebody else. */
  note(subject: string, limit: RateLimit): void {
    const log = this.#current(subject, limit)
    const nowMs = this.#nowMs()
    const last = log.at(-1)
    if (last !== undefined && nowMs - last.startMs < grainOf(limit)) last.count++
    else log.push({ startMs: nowMs, count: 1 })
    this.#logs.set(subject, log)
  }

  #current(subject: string, limit: RateLimit): Entry[] {
    const log = this.#logs.get(subject) ?? []
    const nowMs = this.#nowMs()
    const kept = log.findIndex((entry) => this.#endMs(entry, limit) > nowMs)
    log.splice(0, kept === -1 ? log.length : kept)
    return log
  }

  /** When its last request is out of the window for certain. */
  #endMs({ startMs }: Entry, limit: RateLimit): number {
    return startMs + grainOf(limit) + limit.windowMs
  }

  #nowMs(): number {
    return this.#clock.nowNs() / 1e6
  }
}
