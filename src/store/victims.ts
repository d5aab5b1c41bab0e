import type { KeyHeat } from './types.ts'

/** What Redis would drop for what is written now. */
export interface Victims {
  /** A key that is read at least so often an hour is hotter than they are; Infinity: none surely is. */
  readsPerHour: number
  /** What may be replaced before it is looked again. */
  bytes: number
  /** What may be replaced in five minutes altogether. */
  totalBytes: number
}

export interface VictimsContext {
  evictionPolicy: string
  usedMemoryBytes: number
  /** Keys that were not read for less than this may be those that were just warmed, ms. */
  activeMs: number
}

const NO_VICTIMS: Victims = { readsPerHour: Number.POSITIVE_INFINITY, bytes: 0, totalBytes: 0 }

/** Keys looked at that must be so cold, and those that are left in any case. */
const COLD_SHARE = 0.4
const KEPT_SHARE = 0.3
const MIN_SAMPLE = 20
/** The counter of a new key, and how long it takes until it is 0 without reads: it falls by one a minute. */
const LFU_NEW = 5
const LFU_FADED_PER_HOUR = 12

/** The policy chooses by how keys are read: then it can be told who would go. */
export function choosesByReads(evictionPolicy: string): boolean {
  return /^(allkeys|volatile)-(lru|lfu)$/.test(evictionPolicy)
}

/**
 * What may be pushed out, by a sample of the keys. https://redis.io/docs/latest/develop/reference/eviction/
 *
 * Redis takes the coldest of a few keys that it looks at (`maxmemory-samples`, 5) and of 16 that it remembers from before. That
 * finds a cold key for each new one only while cold keys are many: with a third of all keys it finds 1.5 for each that it needs.
 * So four of ten keys that were looked at must be cold, a tenth of the memory is replaced before it is looked again, and it ends
 * while three of ten are cold still. Cold is
 *
 * - under LRU: not read for longer than twice the time after which the new key is read on average. Keys that are read equally
 *   often never look so: of them four tenths were not read for 0.92 of that time. And not read for longer than warming has gone
 *   on: else they may be keys that were warmed just now.
 * - under LFU: a counter of at most 5, that of a new key; below that it goes up by one for each read, and down by one a minute (or
 *   slower: `lfu-decay-time`). So it is the length of a queue that is served once a minute; a mean length v says that
 *   1 + v - sqrt(1 + v²) come a minute (of a queue with constant service times). The new key must be read as often, and at least
 *   every five minutes: a rarer one fades to 0 before it is read, and is the next to go. Keys that were warmed just now
 *   look like any new one: so no more is replaced in five minutes than was cold at their beginning.
 *
 * Under `volatile-*` only keys with a TTL count.
 */
export function victimsOf(sample: readonly KeyHeat[], context: VictimsContext): Victims {
  const { evictionPolicy, usedMemoryBytes, activeMs } = context
  const isLfu = evictionPolicy.endsWith('-lfu')
  const found = evictionPolicy.startsWith('volatile-')
    ? sample.filter(({ expiresAtMs }) => expiresAtMs !== null)
    : sample
  const heats = found.flatMap(({ counter, idleMs }) => (isLfu ? counter : idleMs) ?? [])
  if (!choosesByReads(evictionPolicy) || heats.length < MIN_SAMPLE) return NO_VICTIMS
  heats.sort((a, b) => (isLfu ? a - b : b - a))
  const warmest = heats[Math.ceil(COLD_SHARE * heats.length) - 1] as number
  const evictableBytes = usedMemoryBytes * (heats.length / sample.length)
  const bytes = Math.round((COLD_SHARE - KEPT_SHARE) * evictableBytes)
  if (!isLfu) {
    if (warmest <= activeMs) return NO_VICTIMS
    return { readsPerHour: (2 * 3_600_000) / warmest, bytes, totalBytes: Number.POSITIVE_INFINITY }
  }
  if (warmest > LFU_NEW) return NO_VICTIMS
  const perMinute = 1 + warmest - Math.sqrt(1 + warmest ** 2)
  const coldShare = heats.filter((counter) => counter <= LFU_NEW).length / heats.length
  const totalBytes = Math.round((coldShare - KEPT_SHARE) * evictableBytes)
  return { readsPerHour: Math.max(LFU_FADED_PER_HOUR, 60 * perMinute), bytes, totalBytes }
}
