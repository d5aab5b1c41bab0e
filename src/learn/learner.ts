import { bucketOf } from '../predict/buckets.ts'
import { type Count, HotCounts } from '../predict/hot-counts.ts'
import { dueTo } from '../predict/online/spans.ts'
import type { AccessWindow, PredictionModel } from '../predict/types.ts'
import { BadLines } from './bad-lines.ts'
import { isKept } from './keep.ts'
import { OwnTexts } from './lines.ts'
import { iso } from './log-errors.ts'
import type { ModelHome } from './model-home.ts'
import type { Read } from './parsers.ts'
import { WindowCutter } from './windows.ts'

export interface LearnedFromLog {
  lines: number
  /** Reads of keys. */
  reads: number
  /** Lines that are no reads of a key: another method, a failure, a path that is not mapped. */
  other: number
  bad: number
  /** The first of them. */
  firstBad: { file: string; line: number; text: string } | null
  /** ISO 8601: the first and the last read. */
  from: string
  to: string
  /** Windows that were folded into the model, and those that it knew already. */
  windows: number
  knownWindows: number
  /** Of the model: ISO 8601; null: no window of the log has ended yet. */
  foldedTo: string | null
  /** Keys and reads of the last 25 hours that are in the access log because of this, by five minutes. */
  kept: number
  /** Hottest first, over the whole log. */
  top: { key: string; reads: number; lastReadAt: string }[]
}

const SHOWN = 10
/** Keys that are learned of each five minutes of the last 25 hours. */
const BUCKET_KEYS = 3000
/** Texts of keys that are held together. */
const OWN_TEXTS = 100_000
/** A time so far ahead of ours is a mistake. */
const AHEAD_MS = 86_400_000

/** What has been learned so far. */
export class Learner {
  readonly bad = new BadLines()
  readonly buckets = new Map<number, HotCounts>()
  readonly model: PredictionModel
  readonly cutter: WindowCutter
  readonly #knownToMs: number
  readonly #nowMs: number
  readonly #all: HotCounts
  readonly #texts = new OwnTexts(OWN_TEXTS)
  reads = 0
  other = 0
  /** The first line that was no read of a key. */
  firstOther: string | null = null
  #fromMs = Number.POSITIVE_INFINITY
  #windows = 0
  #known = 0

  constructor({ windowMs, capacity }: ModelHome, model: PredictionModel, nowMs: number) {
    this.model = model
    this.#nowMs = nowMs
    this.#knownToMs = model.foldedToMs ?? Number.NEGATIVE_INFINITY
    this.#all = new HotCounts(capacity)
    this.cutter = new WindowCutter({ windowMs, capacity, onWindow: (window) => this.#fold(window) })
  }

  /** True if the time is not to be believed. */
  isAhead(atMs: number): boolean {
    return atMs > this.#nowMs + AHEAD_MS
  }

  /** False if it comes too late. */
  add({ key: given, count, atMs }: Read): boolean {
    const key = this.#texts.of(given)
    if (!this.cutter.add(key, count, atMs)) return false
    this.reads += count
    this.#all.add(key, count, atMs)
    if (atMs < this.#fromMs) this.#fromMs = atMs
    if (isKept(atMs, this.#nowMs)) this.#bucket(bucketOf(atMs)).add(key, count, atMs)
    return true
  }

  told(): LearnedFromLog {
    const { lines, bad, first } = this.bad
    const { foldedToMs } = this.model
    return {
      lines,
      reads: this.reads,
      other: this.other,
      bad,
      firstBad: first,
      from: iso(this.#fromMs),
      to: iso(this.cutter.latestMs),
      windows: this.#windows,
      knownWindows: this.#known,
      foldedTo: foldedToMs === null ? null : iso(foldedToMs),
      kept: [...this.buckets.values()].reduce((sum, counts) => sum + counts.size, 0),
      top: hottest(this.#all).map(([key, { reads, lastMs }]) => ({ key, reads, lastReadAt: iso(lastMs) })),
    }
  }

  #fold(window: AccessWindow): void {
    if (window.fromMs < this.#knownToMs) this.#known++
    // What has not ended is folded by whoever runs when it has, from the access log.
    else if (window.toMs <= dueTo(this.#nowMs, this.model.windowMs)) {
      this.model.fold(window)
      this.#windows++
    }
  }

  #bucket(bucket: number): HotCounts {
    let counts = this.buckets.get(bucket)
    if (counts === undefined) {
      counts = new HotCounts(BUCKET_KEYS)
      this.buckets.set(bucket, counts)
    }
    return counts
  }
}

function hottest(counts: HotCounts): [string, Count][] {
  return [...counts.entries()]
    .sort(([key, a], [other, b]) => b.reads - a.reads || b.lastMs - a.lastMs || (key < other ? -1 : 1))
    .slice(0, SHOWN)
}
