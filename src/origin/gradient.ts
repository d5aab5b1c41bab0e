import type { Clock } from '../clock.ts'

/** Share of a new sample in the recent and in the usual latency: about the last 10 and the last 200 of them. */
const RECENT = 0.1
const USUAL = 0.005
/** The same while the bound is shrunk, for what is slower than usual: load must not become the usual thing at once. */
const USUAL_SHRUNK = 0.0002
/** So many slow samples with hardly anything at once: then it is not the load, and becomes the usual thing. */
const ALONE = 50
/** Batches at once that are hardly any. */
const HARDLY_ANY = 2
/** So many samples are too few to know what is usual. */
const FIRST = 20
/** Latency may grow by this factor before the bound shrinks. */
const TOLERANCE = 2
/** The gradient's own bounds. */
const STEEPEST = 0.5
const FLATTEST = 2
/** Share of a new bound in the bound. */
const SMOOTHING = 0.2
/** A down origin halves the bound once in this time, ms. */
const HALVE_EVERY_MS = 1000

interface Latency {
  samples: number
  recentMs: number
  usualMs: number
  /** Share of the recent samples that were slower than usual. */
  slower: number
  /** Samples in a row that were slow with hardly anything at once. */
  alone: number
}

/**
 * How many batches may run at once, from 1 up to a maximum, where it begins: shrinks as long as latency is more than twice
 * what is usual for the same task, halves when the origin is down, and grows back.
 * After Gradient2 of https://github.com/Netflix/concurrency-limits
 */
export class Gradient {
  readonly #clock: Clock
  readonly #latencies = new Map<string, Latency>()
  #max: number
  #bound: number
  #halvedNs = Number.NEGATIVE_INFINITY

  /** @param max at least 1 */
  constructor(max: number, clock: Clock) {
    this.#clock = clock
    this.#max = max
    this.#bound = max
  }

  /** Batches that may run at once. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#bound + 1e-9))
  }

  /** Learns from a batch that the origin answered: how long one request of it took. */
  answered(task: string, latencyMs: number): void {
    const latency = this.#latencies.get(task) ?? { samples: 0, recentMs: 0, usualMs: 0, slower: 0, alone: 0 }
    this.#latencies.set(task, latency)
    const isSlower = latency.samples > 0 && latencyMs > latency.usualMs
    const usual = isSlower && this.#bound < this.#max ? USUAL_SHRUNK : USUAL
    latency.samples++
    // The first few are averaged, as none of them is the usual thing yet.
    const least = latency.samples <= FIRST ? 1 / latency.samples : 0
    latency.recentMs += (latencyMs - latency.recentMs) * Math.max(RECENT, least)
    latency.usualMs += (latencyMs - latency.usualMs) * Math.max(usual, least)
    latency.slower += ((isSlower ? 1 : 0) - latency.slower) * RECENT
    // What was usual under load must not stay so for long.
    if (latency.usualMs > FLATTEST * latency.recentMs) latency.usualMs *= 0.95
    const isAlone = this.limit <= HARDLY_ANY && latency.recentMs > TOLERANCE * latency.usualMs
    latency.alone = isAlone ? latency.alone + 1 : 0
    if (latency.alone >= ALONE) Object.assign(latency, { usualMs: latency.recentMs, alone: 0 })
    this.#set(this.#bound * gradientOf(latency) + Math.sqrt(this.#bound) / 2)
  }

  /** Learns from a batch, sent at `sentNs`, that found the origin down. */
  failed(sentNs: number): void {
    const nowNs = this.#clock.nowNs()
    // What was on its way already when the bound was halved, has been answered by that.
    if (sentNs <= this.#halvedNs || nowNs - this.#halvedNs < HALVE_EVERY_MS * 1e6) return
    this.#halvedNs = nowNs
    this.#bound = Math.max(1, this.#bound / 2)
  }

  /** Another maximum, at least 1; a bound that was not shrunk goes along. */
  retune(max: number): void {
    this.#bound = this.#bound >= this.#max ? max : Math.min(this.#bound, max)
    this.#max = max
  }

  #set(bound: number): void {
    const smoothed = this.#bound * (1 - SMOOTHING) + bound * SMOOTHING
    this.#bound = Math.min(this.#max, Math.max(1, smoothed))
  }
}

function gradientOf({ recentMs, usualMs, slower }: Latency): number {
  if (recentMs <= 0) return FLATTEST
  const gradient = Math.min(FLATTEST, Math.max(STEEPEST, (TOLERANCE * usualMs) / recentMs))
  // A few large batches among small ones are not a slow origin: most must be slower.
  return slower > 0.5 ? gradient : Math.max(1, gradient)
}
