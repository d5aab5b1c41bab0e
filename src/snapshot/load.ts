import type { Clock } from '../clock.ts'
import { type Failure, toFailure } from '../errors.ts'
import type { JobHandle } from '../job/job.ts'
import type { Store } from '../store/types.ts'
import type { JobRequest, JobResult } from '../types.ts'
import type { SnapshotEntry } from './types.ts'

/** What became of each key of a snapshot, counted once. */
export interface LoadCounts {
  /** In the snapshot. */
  keys: number
  /** Loaded from the origin and written. */
  loaded: number
  /** In Redis already, or put there by others meanwhile. */
  present: number
  /** No task has such a key. */
  unmatched: number
  /** Could not be loaded or written. */
  failed: number
  /** Another job was loading them. */
  deduplicated: number
  /** Not loaded because Redis has no room for them. */
  leftOut: number
  /** Not come to: the next load goes on there. */
  left: number
}

/** How a load ended. */
export interface LoadEnd extends LoadCounts {
  /** `all`: every key was come to. `full`: Redis has no room. */
  ended: 'all' | 'deadline' | 'interrupted' | 'full'
  durationMs: number
  firstError: Failure | null
}

export interface LoadParts {
  submit: (request: JobRequest) => JobHandle
  store: Pick<Store, 'ttlsMs'>
  tasksOf: (keys: readonly string[]) => { matched: Map<string, string[]>; unmatched: string[] }
  clock: Clock
}

export interface LoadOptions {
  /** Bound on the whole load, ms. */
  timeoutMs: number
  signal?: AbortSignal | undefined
  /** What each job is submitted with, besides its keys. */
  request?: JobRequest
  onProgress?: (counts: Readonly<LoadCounts>) => void
}

/** Keys of a job: each is looked for in Redis just before. More of a long list, so that its jobs are at most 100. */
const CHUNK = 1000
const MAX_CHUNK = 10_000
const MAX_JOBS = 100

/**
 * Warms the keys of a snapshot through the normal loaders, hottest first, as one job after the other. Keys that are in Redis
 * are left alone, so that a load which was cut goes on where it ended. Never rejects for a key: that is counted.
 *
 * @throws {PrewarmError} `STORE_UNREACHABLE`, `STOPPED`
 */
export async function loadEntries(
  entries: readonly SnapshotEntry[],
  { submit, store, tasksOf, clock }: LoadParts,
  { timeoutMs, signal, request = {}, onProgress = () => {} }: LoadOptions,
): Promise<LoadEnd> {
  const startNs = clock.nowNs()
  const counts: LoadCounts = {
    ...{ keys: entries.length, loaded: 0, present: 0, unmatched: 0, failed: 0 },
    ...{ deduplicated: 0, leftOut: 0, left: entries.length },
  }
  let firstError: Failure | null = null
  const late = new AbortController()
  const takeBack = clock.after(timeoutMs, () => late.abort())
  const stop = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal])
  const end = (ended: LoadEnd['ended']): LoadEnd => ({
    ...{ ...counts, ended, firstError },
    durationMs: (clock.nowNs() - startNs) / 1e6,
  })
  try {
    const size = Math.min(MAX_CHUNK, Math.max(CHUNK, Math.ceil(entries.length / MAX_JOBS)))
    for (let at = 0; at < entries.length; at += size) {
      if (stop.aborted) return end(signal?.aborted ? 'interrupted' : 'deadline')
      const keys = entries.slice(at, at + size).map(({ key }) => key)
      const unmatched = new Set(tasksOf(keys).unmatched)
      const known = keys.filter((key) => !unmatched.has(key))
      const ttls = await store.ttlsMs(known)
      const missing = known.filter((_, index) => ttls[index] === -2)
      counts.unmatched += unmatched.size
      counts.present += known.length - missing.length
      counts.left -= keys.length - missing.length
      if (missing.length > 0) {
        // The signal comes first; the job's own bound is only there so that it is not the default one.
        const job = submit({ ...request, keys: missing, signal: stop, timeoutMs: timeoutMs + 1000 })
        const result = await job.result
        const isCut = result.status === 'cancelled'
        count(counts, missing.length, result, isCut)
        firstError ??= isCut ? null : errorOf(result)
        if (isCut) return end(late.signal.aborted && !signal?.aborted ? 'deadline' : 'interrupted')
        // What comes next is colder.
        if (leftOutOf(result) === missing.length) {
          counts.leftOut += counts.left
          counts.left = 0
          return end('full')
        }
      }
      onProgress(counts)
    }
    return end('all')
  } catch (error) {
    const failure = toFailure(error)
    if (failure.code !== 'STOPPED') throw error
    return end('interrupted')
  } finally {
    takeBack()
  }
}

/** Adds a job's keys. Of a job that was cut, what failed was not come to. */
function count(counts: LoadCounts, keys: number, result: JobResult, isCut: boolean): void {
  const { written, skippedPresent, skippedNewer, failed, unknown } = result.keys
  const deduplicated = result.tasks.reduce((sum, task) => sum + task.deduplicated, 0)
  const leftOut = leftOutOf(result)
  const bad = failed + unknown
  counts.loaded += written
  counts.present += skippedPresent + skippedNewer
  counts.deduplicated += deduplicated
  counts.leftOut += leftOut
  const toldOf = written + skippedPresent + skippedNewer + deduplicated + leftOut
  if (isCut) counts.left -= toldOf
  else {
    // A task that broke off has not told of all.
    counts.failed += Math.max(bad, keys - toldOf)
    counts.left -= keys
  }
}

function leftOutOf({ tasks }: JobResult): number {
  return tasks.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0)
}

function errorOf({ tasks }: JobResult): Failure | null {
  return tasks.find(({ firstError }) => firstError !== null)?.firstError ?? null
}
