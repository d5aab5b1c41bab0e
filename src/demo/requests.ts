/** Numbers from 0 to below 1, the same for the same seed (mulberry32, https://github.com/cprosche/mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** `count` items, each drawn with a probability proportional to its weight. */
export function drawByWeight<T>(
  items: readonly T[],
  weightOf: (item: T) => number,
  count: number,
  random: () => number,
): T[] {
  let total = 0
  const sums = items.map((item) => {
    total += weightOf(item)
    return total
  })
  return Array.from({ length: count }, () => {
    const target = random() * total
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) > target) high = middle
      else low = middle + 1
    }
    return items[low] as T
  })
}

export interface Latencies {
  p50Ms: number
  p95Ms: number
  p99Ms: number
}

export interface PlayOptions<T> {
  requests: readonly T[]
  /** Requests under way at once. */
  concurrency: number
  answer(request: T): Promise<unknown>
  nowNs(): number
  signal: AbortSignal
}

/** Plays `requests` in their order and tells how long they took. */
export async function playRequests<T>(options: PlayOptions<T>): Promise<Latencies> {
  const { requests, concurrency, answer, nowNs, signal } = options
  const tookNs = new Float64Array(requests.length)
  let at = 0
  const client = async () => {
    for (let index = at++; index < requests.length; index = at++) {
      signal.throwIfAborted()
      const beganNs = nowNs()
      await answer(requests[index] as T)
      tookNs[index] = nowNs() - beganNs
    }
  }
  await Promise.all(Array.from({ length: concurrency }, client))
  tookNs.sort()
  const ms = (share: number) => (tookNs[Math.max(0, Math.ceil(tookNs.length * share) - 1)] ?? 0) / 1e6
  return { p50Ms: ms(0.5), p95Ms: ms(0.95), p99Ms: ms(0.99) }
}
