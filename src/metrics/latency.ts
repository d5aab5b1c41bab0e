import { build, type Histogram } from 'hdr-histogram-js'
import type { LatencyNs } from '../types.ts'

/** Latencies in nanoseconds, from 1 µs to 1 h at three significant digits, in constant memory. HdrHistogram, so that two can be merged. */
export class Latency {
  // In microseconds: a histogram of nanoseconds up to an hour would take megabytes.
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3_600_000_000,
    numberOfSignificantValueDigits: 3,
  })
  #maxNs = 0

  /** @param count keys that took this long */
  record(ns: number, count: number): void {
    if (count <= 0) return
    this.#maxNs = Math.max(this.#maxNs, ns)
    this.#histogram.recordValueWithCount(Math.min(3_600_000_000, Math.max(1, Math.round(ns / 1000))), count)
  }

  merge(other: Latency): void {
    this.#histogram.add(other.#histogram)
    this.#maxNs = Math.max(this.#maxNs, other.#maxNs)
  }

  summary(): LatencyNs {
    if (this.#histogram.totalCount === 0) return { p50: 0, p95: 0, p99: 0, max: 0 }
    const at = (percentile: number) => Math.min(this.#maxNs, this.#histogram.getValueAtPercentile(percentile) * 1000)
    return { p50: at(50), p95: at(95), p99: at(99), max: this.#maxNs }
  }
}
