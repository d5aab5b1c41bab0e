import type { BatchEnd } from '../pool/member.ts'
import type { JobResult } from '../types.ts'

/** Sums over all jobs since the process began. */
export class JobTotals {
  jobs = 0
  succeeded = 0
  failed = 0
  originRequests = 0
  cacheWrites = 0
  /** Jobs over whole tasks that were not cancelled. */
  wholeJobs = 0
  #durationMs = 0

  get averageDurationMs(): number {
    return this.jobs === 0 ? 0 : this.#durationMs / this.jobs
  }

  addBatch(end: BatchEnd): void {
    if (end.status !== 'done') return
    this.originRequests += end.report.originRequests
    this.cacheWrites += end.report.keys.written
  }

  /** A cancelled job has neither succeeded nor failed. */
  addJob({ status, durationNs }: JobResult, isNamed: boolean): void {
    this.jobs++
    if (!isNamed && status !== 'cancelled') this.wholeJobs++
    this.#durationMs += durationNs / 1e6
    if (status === 'success' || status === 'skipped') this.succeeded++
    else if (status === 'failed' || status === 'partial') this.failed++
  }
}
