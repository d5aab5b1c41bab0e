import { build, type Histogram } from 'hdr-histogram-js'

/** Upper ends of Prometheus' buckets, in seconds: from a read of memory to a slow origin. */
export const READ_BUCKETS = [
  ...[0.000_001, 0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_5],
  ...[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
]

/** Percentiles in nanoseconds, at two significant digits. */
export interface ReadLatencyNs {
  p50: number
  p95: number
  p99: number
}

const LONGEST_NS = 3_600_000_000_000

/** How long reads took, in constant memory (about 50 KB). */
export class ReadLatency {
  // Two digits: three would take eight times the memory, and nobody tunes by a percent of a microsecond.
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_NS,
    numberOfSignificantValueDigits: 2,
  })
  /** Reads by the first bucket that they fit in; those that fit in none come last. */
  readonly #buckets = new Array<number>(READ_BUCKETS.length + 1).fill(0)
  #sumNs = 0

  record(ns: number): void {
    const taken = ns >= 1 ? Math.min(LONGEST_NS, Math.round(ns)) : 1
    this.#histogram.recordValue(taken)
    this.#sumNs += taken
    const seconds = taken / 1e9
    let at = 0
    while (at < READ_BUCKETS.length && seconds > (READ_BUCKETS[at] as number)) at++
    this.#buckets[at] = (this.#buckets[at] as number) + 1
  }

  get count(): number {
    return this.#histogram.totalCount
  }

  get sumSeconds(): number {
    return this.#sumNs / 1e9
  }

  /** Null before the first read. */
  summary(): ReadLatencyNs | null {
    if (this.count === 0) return null
    const at = (percentile: number) => this.#histogram.getValueAtPercentile(percentile)
    return { p50: at(50), p95: at(95), p99: at(99) }
  }

  /** How many reads took at most as long as each of {@linkcode READ_BUCKETS}. */
  cumulative(): number[] {
    let sum = 0
    return READ_BUCKETS.map((_, at) => {
      sum += this.#buckets[at] as number
      return sum
    })
  }
}
