import { HotCounts } from '../predict/hot-counts.ts'
import type { AccessWindow } from '../predict/types.ts'

/** How much earlier than the latest one a read may come, ms: servers note a request at its end. */
export const TOLERANCE_MS = 300_000

export interface CutterOptions {
  windowMs: number
  /** Keys that are counted of a window. */
  capacity: number
  /** Given each window with a read in it once no more can come, in order of time. A model knows of those in between by their times. */
  onWindow: (window: AccessWindow) => void
}

interface Open {
  reads: number
  counts: HotCounts
}

/** Cuts reads into windows of the wall clock. They may come unsorted within {@linkcode TOLERANCE_MS}. */
export class WindowCutter {
  readonly #options: CutterOptions
  readonly #open = new Map<number, Open>()
  #latestMs = Number.NEGATIVE_INFINITY

  constructor(options: CutterOptions) {
    this.#options = options
  }

  /** The latest read. */
  get latestMs(): number {
    return this.#latestMs
  }

  /** False, and nothing is counted, if the read comes too late. */
  add(key: string, count: number, atMs: number): boolean {
    const { windowMs, capacity } = this.#options
    if (atMs < this.#latestMs - TOLERANCE_MS) return false
    const index = Math.floor(atMs / windowMs)
    let open = this.#open.get(index)
    if (open === undefined) {
      open = { reads: 0, counts: new HotCounts(capacity) }
      this.#open.set(index, open)
    }
    open.reads += count
    open.counts.add(key, count, atMs)
    if (atMs > this.#latestMs) {
      this.#latestMs = atMs
      this.#give(Math.floor((atMs - TOLERANCE_MS) / windowMs))
    }
    return true
  }

  /** Gives all that is left. */
  end(): void {
    this.#give(Number.POSITIVE_INFINITY)
  }

  /** Gives the windows before the one with this number. */
  #give(before: number): void {
    if (this.#open.size === 0) return
    const { windowMs, onWindow } = this.#options
    const ready = [...this.#open.keys()].filter((index) => index < before).sort((a, b) => a - b)
    for (const index of ready) {
      const { reads, counts } = this.#open.get(index) as Open
      this.#open.delete(index)
      onWindow({ fromMs: index * windowMs, toMs: (index + 1) * windowMs, reads, keys: new Map(counts.entries()) })
    }
  }
}
