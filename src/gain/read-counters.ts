import type { CacheObserver, FilledBy, ReadTold, Tier } from '../cache/types.ts'
import { OTHER } from './buckets.ts'
import { ReadLatency, type ReadLatencyNs } from './read-latency.ts'

/** Keyspaces that are told apart; what comes later counts as {@linkcode OTHER}. */
const MAX_KEYSPACES = 1000

/** What became of reads. A read that was served stale is a hit, too; whatever asked the origin and waited is a miss. */
export interface ReadTotals {
  hits: number
  misses: number
  /** Hits in their grace. */
  stale: number
  /** A layer that could not be asked, or a load that failed; a read may have several. */
  errors: number
  /** Keys, or tags, that this program invalidated. */
  invalidations: number
  /** Hits on what warming had filled. */
  warmHits: number
}

/** The reads of one keyspace. */
export class KeyspaceReads {
  readonly hits = { memory: byFiller(), redis: byFiller() }
  readonly stale = { memory: 0, redis: 0 }
  readonly errors = { memory: 0, redis: 0, origin: 0 }
  misses = 0
}

/** Counts what a cache tells, since the process began: by keyspace, tier and what had filled the entry. */
export class ReadCounters implements CacheObserver {
  readonly #keyspaces = new Map<string, KeyspaceReads>()
  readonly #latency = { memory: new ReadLatency(), redis: new ReadLatency(), origin: new ReadLatency() }
  #invalidations = 0
  /** Reads that a cache told of, and not only the program: they say which entry they found. */
  #observed = 0

  read({ keyspace, tier, status, filledBy, durationNs }: ReadTold): void {
    const reads = this.#of(keyspace)
    count(reads, tier, filledBy)
    if (status === 'stale' && tier !== 'origin') reads.stale[tier]++
    this.#latency[tier].record(durationNs)
    this.#observed++
  }

  error({ keyspace, tier }: { keyspace: string | null; tier: Tier }): void {
    this.#of(keyspace).errors[tier]++
  }

  invalidated(count: number): void {
    if (count > 0) this.#invalidations += count
  }

  /** Reads of which only that is known. */
  told({ tier, filledBy }: { tier: Tier; filledBy: FilledBy }, times = 1): void {
    count(this.#of(null), tier, filledBy, times)
  }

  get invalidations(): number {
    return this.#invalidations
  }

  /** By keyspace's name; {@linkcode OTHER} for none. */
  get keyspaces(): ReadonlyMap<string, KeyspaceReads> {
    return this.#keyspaces
  }

  latencyOf(tier: Tier): ReadLatency {
    return this.#latency[tier]
  }

  /** Percentiles by tier, ns; null before its first read. */
  latencies(): Record<Tier, ReadLatencyNs | null> {
    const { memory, redis, origin } = this.#latency
    return { memory: memory.summary(), redis: redis.summary(), origin: origin.summary() }
  }

  totals(): ReadTotals {
    const totals = { hits: 0, misses: 0, stale: 0, errors: 0, invalidations: this.#invalidations, warmHits: 0 }
    for (const { hits, misses, stale, errors } of this.#keyspaces.values()) {
      totals.hits += sum(hits.memory) + sum(hits.redis)
      totals.misses += misses
      totals.stale += sum(stale)
      totals.errors += sum(errors)
      totals.warmHits += hits.memory.warm + hits.redis.warm
    }
    return totals
  }

  /** All counts by `figure:keyspace`, for adding up over processes. */
  flat(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const [name, { hits, misses, stale, errors }] of this.#keyspaces) {
      counts.set(`memory:${name}`, sum(hits.memory))
      counts.set(`redis:${name}`, sum(hits.redis))
      counts.set(`misses:${name}`, misses)
      counts.set(`stale:${name}`, sum(stale))
      counts.set(`errors:${name}`, sum(errors))
      counts.set(`warm:${name}`, hits.memory.warm + hits.redis.warm)
    }
    counts.set('invalidations:', this.#invalidations)
    counts.set('observed:', this.#observed)
    return counts
  }

  #of(keyspace: string | null): KeyspaceReads {
    let name = keyspace ?? OTHER
    let reads = this.#keyspaces.get(name)
    if (reads !== undefined) return reads
    if (this.#keyspaces.size >= MAX_KEYSPACES) {
      name = OTHER
      reads = this.#keyspaces.get(name)
    }
    if (reads === undefined) {
      reads = new KeyspaceReads()
      this.#keyspaces.set(name, reads)
    }
    return reads
  }
}

function byFiller(): Record<FilledBy, number> {
  return { warm: 0, read: 0, unknown: 0 }
}

/** Programs without types may say anything; what is no layer of ours did not spare the origin. */
function count(reads: KeyspaceReads, tier: Tier, filledBy: FilledBy, times = 1): void {
  if (tier !== 'memory' && tier !== 'redis') reads.misses += times
  else reads.hits[tier][filledBy === 'warm' || filledBy === 'read' ? filledBy : 'unknown'] += times
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, one) => total + one, 0)
}
