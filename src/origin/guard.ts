import type { Clock } from '../clock.ts'
import type { SharedRate } from '../coordination/types.ts'
import { Breaker } from './breaker.ts'
import { type EmergencyChange, OriginEmergency, type Pass } from './emergency.ts'
import { Gradient } from './gradient.ts'
import { OriginRate } from './rate.ts'

/**
 * The origin's leave to send one batch; or when to ask again (null: when a permit comes back), and whether what is
 * missing is missing for every task; or `gone`: this task's origin does not come back.
 */
export type Permission =
  | { granted: true; permit: Permit }
  | { granted: false; retryInMs: number | null; isShared: boolean }
  | { granted: false; gone: true }

/** Given back when the batch has ended. */
export interface Permit {
  readonly breaker: Breaker
  /** Tells what the batch saw of the origin; nothing, where nobody knows (it was cancelled or lost). */
  release(seen?: Seen): void
}

/** How the origin fared with one batch. */
export interface Seen {
  /** Requests that it got; 0 tells nothing of its latency. */
  requests: number
  /** What they took together, without pauses between them. */
  durationNs: number
  /** It was away, or too slow to wait for. */
  isDown: boolean
  /** It asked to be left alone for so long: the task is held until then, and nothing else is learnt. */
  retryAfterMs?: number | undefined
  /** It answered 429, without a time to wait. */
  isRateLimited?: boolean
}

export interface GuardOptions {
  /** Requests a second, > 0; of all instances together where `sharedRate` is given. */
  maxRps: number
  /** Batches at once, at least 1. */
  maxConcurrent: number
  /** Latency of a request above which everything is stopped, ms. @default 2000 */
  emergencyThresholdMs?: number
  clock: Clock
  sharedRate?: SharedRate | undefined
  /** Told of an emergency stop and of its end; not of one ended by hand. */
  onEmergency?: (change: EmergencyChange) => void
  /** Told that something that was missing has come; asking again may help. */
  onFree?: () => void
}

/** What may be changed while running. */
export type GuardTuning = Partial<Pick<GuardOptions, 'maxRps' | 'maxConcurrent' | 'emergencyThresholdMs'>>

export interface GuardState {
  emergency: 'none' | 'stopped' | 'probing'
  /** Since when, wall clock; null without an emergency. */
  sinceMs: number | null
  /** 95th percentile of the latency of lately; during an emergency, what it was stopped for. Null: nothing known. */
  p95Ms: number | null
  thresholdMs: number
  /** Batches that may run at once now. */
  concurrency: number
  inFlight: number
  /** Batches that had to wait for the rate, and batches that the origin put off with 429 or a time to wait. */
  rateLimitHits: number
  emergencyStops: number
}

interface TaskState {
  breaker: Breaker
  /** The origin asked to be left alone until then. */
  heldUntilNs: number
  /** Its next batch waits for the rate. */
  isWaiting: boolean
}

/**
 * Keeps the origin from being overloaded: requests a second and batches at once over all tasks, fewer at once while it is
 * slower than usual, none while it is too slow; for each task a breaker, and patience where it asked for that.
 * Lives on the main thread, so that one place knows the true rate.
 */
export class OriginGuard {
  readonly #clock: Clock
  readonly #rate: OriginRate
  readonly #gradient: Gradient
  readonly #emergency: OriginEmergency
  readonly #onFree: () => void
  readonly #tasks = new Map<string, TaskState>()
  #inFlight = 0
  #rateLimitHits = 0

  constructor(options: GuardOptions) {
    const { maxRps, maxConcurrent, emergencyThresholdMs = 2000, clock, sharedRate } = options
    const { onEmergency = () => {}, onFree = () => {} } = options
    this.#clock = clock
    this.#onFree = onFree
    this.#rate = new OriginRate({ rps: maxRps, clock, shared: sharedRate, onFree })
    this.#gradient = new Gradient(maxConcurrent, clock)
    this.#emergency = new OriginEmergency({ thresholdMs: emergencyThresholdMs, clock, onChange: onEmergency })
  }

  /** Asks for leave to send a batch of `task` that makes `requests` requests. */
  ask(task: string, requests: number): Permission {
    const state = this.#stateOf(task)
    const { breaker } = state
    const { state: closed } = breaker
    if (closed.state === 'gone') {
      // Who asks next begins anew: the origin may be back by then.
      state.breaker = new Breaker(this.#clock)
      return { granted: false, gone: true }
    }
    if (closed.state === 'held') return { granted: false, retryInMs: closed.retryInMs, isShared: false }
    const heldMs = (state.heldUntilNs - this.#clock.nowNs()) / 1e6
    if (heldMs > 0) return { granted: false, retryInMs: heldMs, isShared: false }
    const stoppedMs = this.#emergency.waitMs
    if (stoppedMs !== 0) return { granted: false, retryInMs: stoppedMs, isShared: true }
    if (this.#inFlight >= this.#gradient.limit) return { granted: false, retryInMs: null, isShared: true }
    const taken = this.#rate.take(requests)
    if (!taken.granted) {
      if (taken.isLimit && !state.isWaiting) {
        state.isWaiting = true
        this.#rateLimitHits++
      }
      return { granted: false, retryInMs: taken.retryInMs, isShared: true }
    }
    state.isWaiting = false
    return { granted: true, permit: this.#permit(task, breaker) }
  }

  get state(): GuardState {
    const { state } = this.#emergency
    return {
      emergency: state.state,
      sinceMs: state.state === 'none' ? null : state.sinceMs,
      p95Ms: this.#emergency.p95Ms(this.#gradient.limit),
      thresholdMs: this.#emergency.thresholdMs,
      concurrency: this.#gradient.limit,
      inFlight: this.#inFlight,
      rateLimitHits: this.#rateLimitHits,
      emergencyStops: this.#emergency.stops,
    }
  }

  /** Takes effect on the next `ask`; what was saved up of the rate is kept, as far as it may be saved now. */
  retune({ maxRps, maxConcurrent, emergencyThresholdMs }: GuardTuning): void {
    if (maxRps !== undefined) this.#rate.retune(maxRps)
    if (maxConcurrent !== undefined) this.#gradient.retune(maxConcurrent)
    if (emergencyThresholdMs !== undefined) this.#emergency.thresholdMs = emergencyThresholdMs
    this.#onFree()
  }

  /** Ends an emergency stop by hand, and forgets the latencies; false: there was none. */
  resume(): boolean {
    const wasStopped = this.#emergency.resume()
    this.#onFree()
    return wasStopped
  }

  #permit(task: string, breaker: Breaker): Permit {
    this.#inFlight++
    const pass = this.#emergency.enter()
    const sentNs = this.#clock.nowNs()
    let isReleased = false
    const release = (seen?: Seen) => {
      if (isReleased) return
      isReleased = true
      this.#inFlight--
      this.#learn(task, pass, sentNs, seen)
    }
    return { breaker, release }
  }

  #learn(task: string, pass: Pass, sentNs: number, seen: Seen | undefined): void {
    const { requests = 0, durationNs = 0, isDown = false, isRateLimited = false, retryAfterMs } = seen ?? {}
    if (isRateLimited || retryAfterMs !== undefined) this.#rateLimitHits++
    if (retryAfterMs !== undefined) {
      const state = this.#stateOf(task)
      state.heldUntilNs = Math.max(state.heldUntilNs, this.#clock.nowNs() + retryAfterMs * 1e6)
    }
    const isKnown = (requests > 0 || isDown) && retryAfterMs === undefined
    const latencyMs = Math.max(0, durationNs) / Math.max(1, requests) / 1e6
    if (isKnown && isDown) this.#gradient.failed(sentNs)
    else if (isKnown) this.#gradient.answered(task, latencyMs)
    const fared = isKnown ? { latencyMs, isDown, requests: Math.max(1, requests) } : null
    this.#emergency.learn(pass, fared, this.#gradient.limit)
  }

  #stateOf(task: string): TaskState {
    let state = this.#tasks.get(task)
    if (state === undefined) {
      state = { breaker: new Breaker(this.#clock), heldUntilNs: Number.NEGATIVE_INFINITY, isWaiting: false }
      this.#tasks.set(task, state)
    }
    return state
  }
}
