/** How often a key was read, and when last, ms since 1970. */
export interface Count {
  reads: number
  lastMs: number
}

/** Share of the capacity that is kept for the sums of those that left. */
const LEFT = 0.1
/** Share of the keys that leaves when there are too many: looking for the least read one at each new key would be dear. More
 * than there is room for among those that left, so that keys that were read once do not even come in there. */
const LEAVING = 0.15
/** Counts below this are sorted by counting them. */
const LEVELS = 64

/**
 * Counts reads by key in a bounded number of counters, for any number of keys.
 *
 * Most keys are counted exactly. When there are too many, the seventh part that was read least leaves; what had been counted of
 * those goes into a Misra-Gries summary of `k` counters, a tenth of the capacity, so that one that comes back again and again
 * is found all the same. A count is never too high, and too low by at most `reads of all keys / (k + 1)`: a key that had more
 * than that is always there. That is the bound of Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of
 * Frequent and Top-k Elements in Data Streams", ICDT 2005), which with one counter more is the same summary (Agarwal et al.,
 * "Mergeable Summaries", PODS 2012). Space-Saving itself gives a new key the count of the one that it replaces; many keys
 * read once would push out all that was read a few times.
 */
export class HotCounts {
  readonly #capacity: number
  readonly #leftCapacity: number
  /** Where in the lists below a key's counter is: numbers in lists are cheaper than an object for each key. */
  readonly #slots = new Map<string, number>()
  readonly #keys: string[] = []
  readonly #reads: Float64Array
  readonly #lastMs: Float64Array
  readonly #free: number[] = []
  /** Of keys that have left, and perhaps come back. */
  readonly #left = new Map<string, Count>()
  /** Where the next search begins, so that of equals those stay that came last, more or less. */
  #hand = 0

  /** @param capacity counters in all; at least 1 */
  constructor(capacity: number) {
    this.#leftCapacity = Math.floor(capacity * LEFT)
    this.#capacity = Math.ceil(capacity) - this.#leftCapacity
    this.#reads = new Float64Array(this.#capacity)
    this.#lastMs = new Float64Array(this.#capacity)
  }

  /** Counters that are in use; never more than the capacity. */
  get size(): number {
    return this.#slots.size + this.#left.size
  }

  add(key: string, reads: number, lastMs: number): void {
    let slot = this.#slots.get(key)
    if (slot !== undefined) {
      ;(this.#reads[slot] as number) += reads
      if (lastMs > (this.#lastMs[slot] as number)) this.#lastMs[slot] = lastMs
      return
    }
    if (this.#slots.size >= this.#capacity) this.#makeRoom()
    slot = this.#free.pop() ?? this.#slots.size
    this.#slots.set(key, slot)
    this.#keys[slot] = key
    this.#reads[slot] = reads
    this.#lastMs[slot] = lastMs
  }

  /** Each key once. */
  *entries(): IterableIterator<[string, Count]> {
    for (const [key, slot] of this.#slots) yield [key, this.#inAll(key, slot)]
    for (const [key, count] of this.#left) if (!this.#slots.has(key)) yield [key, { ...count }]
  }

  /** With what had been counted before the key left for the last time. */
  #inAll(key: string, slot: number): Count {
    const reads = this.#reads[slot] as number
    const lastMs = this.#lastMs[slot] as number
    const left = this.#left.get(key)
    return left === undefined ? { reads, lastMs } : { reads: reads + left.reads, lastMs: Math.max(lastMs, left.lastMs) }
  }

  /** The keys with the fewest reads leave. All counters are in use. */
  #makeRoom(): void {
    const leaving = Math.ceil(this.#capacity * LEAVING)
    const { count: most, below } = smallest(this.#reads, this.#capacity, leaving)
    // Of those that were read as often as the last one that leaves, as many as there is room for.
    let equals = leaving - below
    let slot = this.#hand
    for (let gone = 0; gone < leaving; slot = slot + 1 < this.#capacity ? slot + 1 : 0) {
      const reads = this.#reads[slot] as number
      if (reads > most || (reads === most && equals-- <= 0)) continue
      this.#free.push(slot)
      gone++
    }
    this.#hand = slot
    this.#keep(this.#free)
    for (const free of this.#free) {
      this.#slots.delete(this.#keys[free] as string)
      this.#keys[free] = ''
    }
  }

  /**
   * Adds the counts of `slots` to those that left. If there are too many, all lose the count of the largest one that has no
   * room: at least `k + 1` keys lose as much, and so the sum of all that one key can lose is bounded.
   */
  #keep(slots: readonly number[]): void {
    const counts = new Float64Array(slots.length + this.#left.size)
    let size = 0
    for (const slot of slots) {
      const key = this.#keys[slot] as string
      const left = this.#left.size === 0 ? undefined : this.#left.get(key)
      if (left !== undefined) {
        this.#left.delete(key)
        ;(this.#reads[slot] as number) += left.reads
        this.#lastMs[slot] = Math.max(this.#lastMs[slot] as number, left.lastMs)
      }
      counts[size++] = this.#reads[slot] as number
    }
    for (const count of this.#left.values()) counts[size++] = count.reads
    const less = size <= this.#leftCapacity ? 0 : smallest(counts, size, size - this.#leftCapacity).count
    if (less > 0) {
      for (const [key, count] of this.#left) {
        if (count.reads <= less) this.#left.delete(key)
        else count.reads -= less
      }
    }
    for (const slot of slots) {
      const reads = (this.#reads[slot] as number) - less
      if (reads > 0) this.#left.set(this.#keys[slot] as string, { reads, lastMs: this.#lastMs[slot] as number })
    }
  }
}

/** The `rank`-th smallest, from 1, of the first `size` counts, and how many are smaller than that. */
function smallest(counts: Float64Array, size: number, rank: number): { count: number; below: number } {
  const ofLevel = new Uint32Array(LEVELS)
  for (let at = 0; at < size; at++) {
    const count = counts[at] as number
    if (count < LEVELS) ofLevel[count] = (ofLevel[count] as number) + 1
  }
  let below = 0
  for (let count = 0; count < LEVELS; count++) {
    const those = ofLevel[count] as number
    if (below + those >= rank) return { count, below }
    below += those
  }
  // So many were read often that these have to be sorted.
  const sorted = counts.slice(0, size).sort()
  const count = sorted[rank - 1] as number
  return { count, below: sorted.indexOf(count) }
}
