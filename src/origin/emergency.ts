import type { Clock } from '../clock.ts'
import { LatencyWindow } from './latency-window.ts'

/** How many latencies a judgement needs. */
const MIN_SAMPLES = 20
const WINDOW_MS = 10_000
/** Pause after a stop, ms; each further one in a row is twice as long, up to a minute. */
const COOLDOWN_MS = 5000
const MAX_COOLDOWN_MS = 60_000
/** A stop that comes sooner than this after a resumption is one more of the same row, ms. */
const CALM_MS = 60_000
/** Probes in a row that must be fast, and how much faster than the threshold: so that it does not stop again at once. */
const PROBES = 5
const FAST = 0.8

/** `row`: stops in a row so far. Times in `sinceMs` are of the wall clock. */
export type Emergency =
  | { state: 'none'; row: number; sinceNs: number }
  | { state: 'stopped'; row: number; sinceMs: number; untilNs: number; p95Ms: number }
  | { state: 'probing'; row: number; sinceMs: number; p95Ms: number; passed: number; isOut: boolean }

export type EmergencyEvent =
  /** The origin is too slow. */
  | { type: 'slow'; p95Ms: number }
  /** Time has passed. */
  | { type: 'looked' }
  | { type: 'probe_sent' }
  | { type: 'probe_ended'; latencyMs: number; isDown: boolean }
  /** Nobody knows how the probe fared. */
  | { type: 'probe_lost' }
  | { type: 'resumed_by_hand' }

export interface Moment {
  nowMs: number
  nowNs: number
  thresholdMs: number
}

export const NO_EMERGENCY: Emergency = { state: 'none', row: 0, sinceNs: Number.NEGATIVE_INFINITY }

/** What becomes of `from` when `event` happens. An event that means nothing there changes nothing. */
export function transition(from: Emergency, event: EmergencyEvent, now: Moment): Emergency {
  if (event.type === 'resumed_by_hand') return NO_EMERGENCY
  switch (from.state) {
    case 'none': {
      if (event.type !== 'slow') return from
      const isSameRow = now.nowNs - from.sinceNs < CALM_MS * 1e6
      return stopped(isSameRow ? from.row + 1 : 1, event.p95Ms, now)
    }
    case 'stopped': {
      if (event.type !== 'looked' || now.nowNs < from.untilNs) return from
      const sinceMs = now.nowMs - (now.nowNs - from.untilNs) / 1e6
      return { state: 'probing', row: from.row, sinceMs, p95Ms: from.p95Ms, passed: 0, isOut: false }
    }
    case 'probing': {
      if (event.type === 'probe_sent') return { ...from, isOut: true }
      if (event.type === 'probe_lost') return { ...from, isOut: false }
      if (event.type !== 'probe_ended') return from
      if (event.latencyMs > now.thresholdMs) return stopped(from.row + 1, event.latencyMs, now)
      const isFast = !event.isDown && event.latencyMs < FAST * now.thresholdMs
      const passed = isFast ? from.passed + 1 : 0
      if (passed >= PROBES) return { state: 'none', row: from.row, sinceNs: now.nowNs }
      return { ...from, passed, isOut: false }
    }
  }
}

function stopped(row: number, p95Ms: number, { nowMs, nowNs }: Moment): Emergency {
  const cooldownMs = Math.min(MAX_COOLDOWN_MS, COOLDOWN_MS * 2 ** (row - 1))
  return { state: 'stopped', row, sinceMs: nowMs, untilNs: nowNs + cooldownMs * 1e6, p95Ms }
}

export type EmergencyChange = { change: 'stop'; reason: string; p95Ms: number } | { change: 'resume' }

/** What a batch was sent under: what it finds out counts only as long as that lasts. */
export interface Pass {
  readonly era: number
}

/** How the requests of one batch fared. */
export interface SeenLatency {
  /** Of one of them, on average. */
  latencyMs: number
  isDown: boolean
  /** @default 1 */
  requests?: number
}

export interface EmergencyOptions {
  thresholdMs: number
  clock: Clock
  onChange: (change: EmergencyChange) => void
}

/**
 * Stops all batches while the origin answers too slowly: when the 95th percentile of its latencies passes `thresholdMs`
 * (over at least 20 requests of the last 10 s, or longer where so few may run at once that 20 slow ones don't fit in). After
 * a pause, one batch at a time probes it: five in a row below 0.8 of the threshold end the stop, one above it renews it.
 */
export class OriginEmergency {
  thresholdMs: number
  readonly #clock: Clock
  readonly #onChange: (change: EmergencyChange) => void
  readonly #window: LatencyWindow
  #state = NO_EMERGENCY
  #era = 0
  #stops = 0

  constructor({ thresholdMs, clock, onChange }: EmergencyOptions) {
    this.thresholdMs = thresholdMs
    this.#clock = clock
    this.#onChange = onChange
    this.#window = new LatencyWindow(clock)
  }

  get stops(): number {
    return this.#stops
  }

  get state(): Emergency {
    this.#step({ type: 'looked' })
    return this.#state
  }

  /** Null without any sample; outside the state `none`, what the last stop was for. */
  p95Ms(concurrency: number): number | null {
    const { state } = this
    return state.state === 'none' ? this.#window.p95(this.#windowMs(concurrency)).p95Ms : state.p95Ms
  }

  /** 0: a batch may go. Else ms until it may be asked again; null: when the probe has come back. */
  get waitMs(): number | null {
    const { state } = this
    if (state.state === 'stopped') return (state.untilNs - this.#clock.nowNs()) / 1e6
    return state.state === 'probing' && state.isOut ? null : 0
  }

  /** A batch is sent; ask `waitMs` first. */
  enter(): Pass {
    this.#step({ type: 'probe_sent' })
    return { era: this.#era }
  }

  /** Learns from a batch; null: nobody knows how it fared. @param concurrency batches that may run at once */
  learn({ era }: Pass, seen: SeenLatency | null, concurrency: number): void {
    // A batch from before a stop tells nothing about the origin after it.
    if (era !== this.#era) return
    if (seen === null) {
      this.#step({ type: 'probe_lost' })
      return
    }
    this.#step({ type: 'probe_ended', ...seen })
    if (era !== this.#era || this.#state.state !== 'none') return
    const isSlow = seen.latencyMs > this.thresholdMs
    // A connection refused at once must not look like a fast origin.
    if (isSlow || !seen.isDown) this.#window.add(seen.latencyMs, seen.requests)
    if (!isSlow) return
    const { count, p95Ms } = this.#window.p95(this.#windowMs(concurrency))
    if (count >= MIN_SAMPLES && p95Ms !== null && p95Ms > this.thresholdMs) this.#step({ type: 'slow', p95Ms })
  }

  /** Ends a stop by hand; false: there was none. */
  resume(): boolean {
    const was = this.#state.state
    this.#step({ type: 'resumed_by_hand' })
    this.#window.clear()
    return was !== 'none'
  }

  /** Long enough for {@linkcode MIN_SAMPLES} batches that take two and a half times the threshold. */
  #windowMs(concurrency: number): number {
    return Math.max(WINDOW_MS, (MIN_SAMPLES * 2.5 * this.thresholdMs) / concurrency)
  }

  #step(event: EmergencyEvent): void {
    const from = this.#state
    const now = { nowMs: this.#clock.nowMs(), nowNs: this.#clock.nowNs(), thresholdMs: this.thresholdMs }
    const to = transition(from, event, now)
    this.#state = to
    if (to.state === from.state) return
    this.#era++
    this.#window.clear()
    if (to.state === 'stopped') {
      this.#stops++
      const what = from.state === 'none' ? 'the 95th percentile of its latency is' : 'a probe took'
      const reason = `the origin is too slow: ${what} ${Math.round(to.p95Ms)} ms, above the threshold of ${this.thresholdMs} ms`
      this.#onChange({ change: 'stop', reason, p95Ms: to.p95Ms })
    } else if (event.type === 'probe_ended') this.#onChange({ change: 'resume' })
  }
}
