import { build, type Histogram } from 'hdr-histogram-js'

/** How long something took, over all its calls, in nanoseconds; exact to 1 %, the maximum to the nanosecond. */
export interface MeasureSummary {
  count: number
  p50Ns: number
  p95Ns: number
  p99Ns: number
  maxNs: number
}

export interface MeasurementsOptions {
  /** Monotonic, nanoseconds. */
  nowNs: () => number
  /** Names that are told apart; further ones are summed up under {@linkcode OTHER}. About 20 KB each. At least 1. @default 200 */
  maxNames?: number
}

/** What is beyond `maxNames`. */
export const OTHER = 'other'

/** Longer is counted as this long, ns: 1 h. */
const LONGEST_NS = 3_600_000_000_000

/** Measures functions by name, in bounded memory. */
export class Measurements {
  readonly #nowNs: () => number
  readonly #maxNames: number
  readonly #spans = new Map<string, Span>()

  /** @throws {RangeError} if `maxNames` is out of bounds */
  constructor({ nowNs, maxNames = 200 }: MeasurementsOptions) {
    if (!Number.isInteger(maxNames) || maxNames < 1)
      throw new RangeError(`Measurements: maxNames must be a whole number from 1, current value is ${maxNames}`)
    this.#nowNs = nowNs
    this.#maxNames = maxNames
  }

  /**
   * Calls `fn`, notes how long it took under `name`, and returns what it returns. Where that is a promise, the time until it
   * settles counts. A call that fails is noted, too, and its error goes on to the caller.
   */
  measure<T>(name: string, fn: () => T): T {
    const startNs = this.#nowNs()
    const note = () => this.record(name, this.#nowNs() - startNs)
    let result: T
    try {
      result = fn()
    } catch (error) {
      note()
      throw error
    }
    if (!isThenable(result)) {
      note()
      return result
    }
    return result.then(
      (value) => {
        note()
        return value
      },
      (error) => {
        note()
        throw error
      },
    ) as T
  }

  /** Notes a time that was measured elsewhere, ns. */
  record(name: string, ns: number): void {
    let span = this.#spans.get(name)
    if (span === undefined) {
      const kept = this.#spans.size < this.#maxNames ? name : OTHER
      span = this.#spans.get(kept) ?? new Span()
      this.#spans.set(kept, span)
    }
    span.record(Math.max(0, ns))
  }

  /** By name, in the order in which the names came. */
  summary(): Record<string, MeasureSummary> {
    // From entries: a name such as `__proto__` is a name like any other.
    return Object.fromEntries([...this.#spans].map(([name, span]) => [name, span.summary()]))
  }

  /** Forgets everything. */
  reset(): void {
    this.#spans.clear()
  }
}

class Span {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_NS,
    numberOfSignificantValueDigits: 2,
  })
  #maxNs = 0

  record(ns: number): void {
    this.#maxNs = Math.max(this.#maxNs, ns)
    this.#histogram.recordValue(Math.min(LONGEST_NS, Math.round(ns)))
  }

  summary(): MeasureSummary {
    const at = (percentile: number) => Math.min(this.#maxNs, this.#histogram.getValueAtPercentile(percentile))
    return { count: this.#histogram.totalCount, p50Ns: at(50), p95Ns: at(95), p99Ns: at(99), maxNs: this.#maxNs }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
