import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import {
  COUNT_ENTRIES,
  GAIN_BUCKET_MS,
  GAIN_KEPT_MS,
  gainBucketOf,
  MEASURED_MS,
  OTHER,
  POOL_KEPT_MS,
  POOLS_KEY,
  READ_HASHES,
  readKey,
  readsKey,
  warmedKey,
} from './buckets.ts'
import type { PoolFigures } from './gain-log.ts'
import type { ReadTotals } from './read-counters.ts'

/** Entries that warming wrote, and how many of them were read at least once, to within about a percent. */
export interface EntryCounts {
  warmed: number
  read: number
}

/** What all processes together have told of the last hours. */
export interface GainFigures {
  /** Reads of the last hour, in whole buckets of ten minutes. */
  reads: ReadTotals
  /** Entries that have expired in the last six hours. */
  ended: EntryCounts & { byTask: ReadonlyMap<string, EntryCounts> }
  /** Entries that have not expired yet, or only just: more of them may be read. */
  live: EntryCounts
  /** A cache has told of its reads in these hours: without one nobody knows which entries were read. */
  isObserved: boolean
  /** Summed up over the instances that say; null where none does. */
  pool: PoolFigures | null
  /** What `ended` covers, ms since 1970. */
  fromMs: number
  toMs: number
}

/** A bucket is complete when its readers have told of the last reads: a few flushes after its end. */
const SETTLED_MS = 15_000
const BUCKETS_KEPT = GAIN_KEPT_MS / GAIN_BUCKET_MS
const BUCKETS_AHEAD = MEASURED_MS / GAIN_BUCKET_MS
const HOUR_BUCKETS = 3_600_000 / GAIN_BUCKET_MS

/** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
export async function gainFigures({ commands, clock }: { commands: Commands; clock: Clock }): Promise<GainFigures> {
  const nowMs = clock.nowMs()
  const now = gainBucketOf(nowMs)
  const first = now - BUCKETS_KEPT
  const open = gainBucketOf(nowMs - SETTLED_MS)
  const warmedBuckets = range(first, now + BUCKETS_AHEAD)
  const readBuckets = range(first, now)
  const keys = [...warmedBuckets.map(warmedKey), ...readBuckets.map(readsKey), POOLS_KEY]
  const hashes = ((await commands.script(READ_HASHES, keys, [])) as string[][]).map(fieldsOf)
  const warmed = hashes.slice(0, warmedBuckets.length)
  const reads = hashes.slice(warmedBuckets.length, -1)

  const parts = warmed.flatMap((tasks, at) =>
    [...tasks].map(([task, count]) => ({ bucket: first + at, task, warmed: Number(count), read: 0 })),
  )
  const counted = (await commands.script(
    COUNT_ENTRIES,
    parts.map(({ bucket, task }) => readKey(bucket, task)),
    [],
  )) as number[]
  for (const [at, part] of parts.entries()) part.read = Number(counted[at] ?? 0)
  const ended = parts.filter(({ bucket }) => bucket < open)
  return {
    reads: totalsOf(reads.slice(-HOUR_BUCKETS - 1)),
    ended: { ...sumOf(ended), byTask: byTask(ended) },
    live: sumOf(parts.filter(({ bucket }) => bucket >= open)),
    isObserved: reads.some((fields) => Number(fields.get('observed:') ?? 0) > 0),
    pool: poolOf(hashes.at(-1) ?? new Map(), nowMs),
    fromMs: first * GAIN_BUCKET_MS,
    toMs: open * GAIN_BUCKET_MS,
  }
}

interface Part extends EntryCounts {
  bucket: number
  task: string
}

/**
 * What was read of a task that has warmed nothing there lives too long to be measured, or was warmed by a program that does
 * not tell. Reads of no known keyspace count, for theirs may be any task's.
 */
function sumOf(parts: readonly Part[]): EntryCounts {
  const counts = { warmed: 0, read: 0 }
  for (const { task, warmed, read } of parts) {
    counts.warmed += warmed
    if (warmed > 0 || task === OTHER) counts.read += read
  }
  return { ...counts, read: Math.min(counts.read, counts.warmed) }
}

function byTask(parts: readonly Part[]): Map<string, EntryCounts> {
  const names = new Set(parts.filter(({ warmed }) => warmed > 0).map(({ task }) => task))
  return new Map([...names].sort().map((name) => [name, sumOf(parts.filter(({ task }) => task === name))]))
}

function totalsOf(buckets: readonly ReadonlyMap<string, string>[]): ReadTotals {
  const figures = new Map<string, number>()
  for (const fields of buckets) {
    for (const [field, count] of fields) {
      const figure = field.slice(0, field.indexOf(':'))
      figures.set(figure, (figures.get(figure) ?? 0) + Number(count))
    }
  }
  const of = (name: string) => figures.get(name) ?? 0
  return {
    hits: of('memory') + of('redis'),
    misses: of('misses'),
    stale: of('stale'),
    errors: of('errors'),
    invalidations: of('invalidations'),
    warmHits: of('warm'),
  }
}

function poolOf(told: ReadonlyMap<string, string>, nowMs: number): PoolFigures | null {
  const pools = [...told.values()].map(poolIn).filter((pool) => pool !== null && pool.at_ms >= nowMs - POOL_KEPT_MS)
  if (pools.length === 0) return null
  const sum = (name: keyof PoolFigures) => pools.reduce((total, pool) => total + (pool?.[name] ?? 0), 0)
  return { size: sum('size'), available: sum('available'), pending: sum('pending') }
}

/** Null for what can't be read: an older version's, say. */
function poolIn(text: string): (PoolFigures & { at_ms: number }) | null {
  try {
    const pool = JSON.parse(text)
    return [pool.size, pool.available, pool.pending, pool.at_ms].every(Number.isFinite) ? pool : null
  } catch {
    return null
  }
}

function fieldsOf(reply: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(reply[at] as string, reply[at + 1] as string)
  return fields
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at)
}
