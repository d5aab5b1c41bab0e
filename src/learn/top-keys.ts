import type { Count } from '../predict/hot-counts.ts'

/** Keeps the hottest of any number of keys, each of which is told once: those with the most reads, of equals the latest. */
export class TopKeys {
  readonly #capacity: number
  #counts = new Map<string, Count>()

  /** @param capacity keys to keep; half as many more are held for a while */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** A key that comes again replaces what was told of it. */
  set(key: string, count: Count): void {
    this.#counts.set(key, count)
    if (this.#counts.size > 1.5 * this.#capacity) this.#counts = new Map(this.top(this.#capacity))
  }

  /** Hottest first; equals in a fixed order. */
  top(limit = this.#capacity): [string, Count][] {
    return [...this.#counts].sort(hotter).slice(0, Math.min(limit, this.#capacity))
  }
}

function hotter([key, a]: [string, Count], [other, b]: [string, Count]): number {
  return b.reads - a.reads || b.lastMs - a.lastMs || (key < other ? -1 : 1)
}
