import type { Clock } from '../clock.ts'

/** Latencies that differ by less than this share count as one. */
const RESOLUTION = 1.01
const SLOT_MS = 1000
/** Slots kept: the longest window. */
const SLOTS = 120

interface Slot {
  /** Seconds of the clock. */
  at: number
  count: number
  /** By the latency's order of magnitude, in steps of 1 %: how many, and the least of them, ms. */
  buckets: Map<number, { count: number; leastMs: number }>
}

/** Latencies of the last two minutes, to within 1 % and a second; memory is bounded, however many there are. */
export class LatencyWindow {
  readonly #clock: Clock
  #slots: Slot[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param times how many requests had this latency */
  add(latencyMs: number, times = 1): void {
    const at = this.#now()
    let slot = this.#slots.at(-1)
    if (slot?.at !== at) {
      slot = { at, count: 0, buckets: new Map() }
      this.#slots = this.#slots.filter((one) => one.at > at - SLOTS)
      this.#slots.push(slot)
    }
    const index = Math.floor(Math.log(Math.max(latencyMs, 0.001)) / Math.log(RESOLUTION))
    const bucket = slot.buckets.get(index)
    slot.count += times
    if (bucket === undefined) slot.buckets.set(index, { count: times, leastMs: latencyMs })
    else {
      bucket.count += times
      bucket.leastMs = Math.min(bucket.leastMs, latencyMs)
    }
  }

  /** How many latencies the last `windowMs` hold (at most 120 s), and their 95th percentile, ms; null without any. */
  p95(windowMs: number): { count: number; p95Ms: number | null } {
    const from = this.#now() - Math.min(SLOTS, Math.ceil(windowMs / SLOT_MS))
    const merged = new Map<number, { count: number; leastMs: number }>()
    let count = 0
    for (const slot of this.#slots) {
      if (slot.at <= from) continue
      count += slot.count
      for (const [index, one] of slot.buckets) {
        const sum = merged.get(index) ?? { count: 0, leastMs: Number.POSITIVE_INFINITY }
        merged.set(index, { count: sum.count + one.count, leastMs: Math.min(sum.leastMs, one.leastMs) })
      }
    }
    let left = Math.ceil(count * 0.95)
    for (const [, one] of [...merged].sort(([a], [b]) => a - b)) {
      left -= one.count
      if (left <= 0) return { count, p95Ms: one.leastMs }
    }
    return { count, p95Ms: null }
  }

  clear(): void {
    this.#slots = []
  }

  #now(): number {
    return Math.floor(this.#clock.nowNs() / 1e6 / SLOT_MS)
  }
}
