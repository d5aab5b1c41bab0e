import type { BatchReport } from '../batch.ts'
import type { ErrorCode, Failure } from '../errors.ts'
import { Latency } from '../metrics/latency.ts'
import type { FinalStatus, KeyCounts } from '../types.ts'

/** Keys kept to look at when the job ends. */
const SAMPLE = 1000

export function noKeys(): KeyCounts {
  return { planned: 0, written: 0, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
}

/** Adds `more` to `counts`. */
export function addKeys(counts: KeyCounts, more: KeyCounts): void {
  for (const name of Object.keys(counts) as (keyof KeyCounts)[]) counts[name] += more[name]
}

/** Keys that are in the store because of, or despite, the job. */
export function presentKeys({ written, skippedPresent, skippedNewer }: KeyCounts): number {
  return written + skippedPresent + skippedNewer
}

/** What became of one task's keys so far. Every key is counted once, in one outcome. */
export class Tally {
  readonly keys = noKeys()
  readonly latency = new Latency()
  originRequests = 0
  /** Keys that a batch has read and not written, for lack of room. */
  leftOut = 0
  firstError: Failure | null = null
  /** The task could not be read to its end: more keys may exist than were counted. */
  isBroken = false
  readonly sample: string[] = []

  add(report: BatchReport): void {
    addKeys(this.keys, report.keys)
    this.latency.record(report.readNs + report.writeNs, report.keys.planned)
    this.originRequests += report.originRequests
    this.leftOut += report.leftOut ?? 0
    if (report.keys.failed + report.keys.unknown > 0 && report.firstError !== null)
      this.firstError = isLockLost(report.firstError) ? report.firstError : (this.firstError ?? report.firstError)
    for (const key of report.sample) if (this.sample.length < SAMPLE) this.sample.push(key)
  }

  /** Counts keys that no batch will account for any more. */
  give(outcome: 'failed' | 'unknown', count: number, failure: Failure): void {
    if (count <= 0) return
    this.keys.planned += count
    this.keys[outcome] += count
    this.firstError ??= failure
  }

  break(failure: Failure): void {
    this.isBroken = true
    this.firstError ??= failure
  }

  status(deduplicated: number, stoppedBy: ErrorCode | null, hasLeftOut = false): FinalStatus {
    if (stoppedBy === 'JOB_CANCELLED' || stoppedBy === 'STOPPED') return 'cancelled'
    const bad = this.isBroken || this.keys.failed + this.keys.unknown > 0
    if (bad) return presentKeys(this.keys) > 0 ? 'partial' : 'failed'
    if (hasLeftOut) return 'partial'
    return this.keys.planned === 0 && deduplicated > 0 ? 'skipped' : 'success'
  }
}

/** Told before any other: after it nothing can be written, so the job ends. */
function isLockLost({ code }: Failure): boolean {
  return code === 'LOCK_LOST'
}

/** A job's status from its tasks'. */
export function jobStatus(tasks: readonly FinalStatus[]): FinalStatus {
  if (tasks.includes('cancelled')) return 'cancelled'
  const counted = tasks.filter((status) => status !== 'skipped')
  if (counted.length === 0) return tasks.length === 0 ? 'success' : 'skipped'
  if (counted.every((status) => status === 'success')) return 'success'
  return counted.every((status) => status === 'failed') ? 'failed' : 'partial'
}
