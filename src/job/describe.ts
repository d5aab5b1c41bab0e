import type { JobRecord } from '../coordination/types.ts'
import type { EventKeys, WarmEvent } from '../events/types.ts'
import type { BatchEnd } from '../pool/member.ts'
import type { JobResult, KeyCounts } from '../types.ts'
import { noKeys } from './tally.ts'

/** A job that begins, as subscribers are told. */
export function startedEvent({ id, traceId, source, strategy, tasks, schedule, request }: JobRecord): WarmEvent {
  return {
    type: 'job_started',
    job_id: id,
    trace_id: traceId,
    source,
    strategy,
    tasks,
    ...(request.parentSpanId === undefined ? {} : { parent_span_id: request.parentSpanId }),
    ...(schedule === null ? {} : { schedule }),
  }
}

/** A job that has ended, as subscribers are told. */
export function endedEvent(
  { id, traceId, source, strategy, schedule, request }: JobRecord,
  result: JobResult,
): WarmEvent {
  return {
    type: 'job_ended',
    job_id: id,
    trace_id: traceId,
    source,
    strategy,
    status: result.status,
    duration_ms: result.durationNs / 1e6,
    keys: eventKeys(result.keys),
    coverage: result.coverage,
    is_named: request.keys !== undefined,
    ...(result.memory === undefined ? {} : { left_out: leftOutOf(result) }),
    ...(schedule === null ? {} : { schedule }),
  }
}

/** Keys that were left out for lack of room, by task. */
function leftOutOf({ tasks }: JobResult): Record<string, number> {
  return Object.fromEntries(tasks.flatMap(({ task, leftOut }) => (leftOut === undefined ? [] : [[task, leftOut]])))
}

/** What a batch belongs to. */
export interface BatchPlace {
  jobId: string
  traceId: string
  task: string
  worker: number
  durationNs: number
}

/** A batch that has ended, as subscribers are told. */
export function batchEvent({ jobId, traceId, task, worker, durationNs }: BatchPlace, end: BatchEnd): WarmEvent {
  const report = end.status === 'done' ? end.report : undefined
  return {
    type: 'batch',
    job_id: jobId,
    trace_id: traceId,
    task,
    worker: `worker-${worker}`,
    status: end.status,
    duration_ms: durationNs / 1e6,
    origin_ms: (report?.readNs ?? 0) / 1e6,
    origin_requests: report?.originRequests ?? 0,
    keys: eventKeys(report?.keys ?? noKeys()),
  }
}

/** The single keys of a batch, as far as their outcomes were asked for. */
export function keyEvents({ jobId, traceId, task, durationNs }: BatchPlace, end: BatchEnd): WarmEvent[] {
  if (end.status !== 'done') return []
  return end.report.outcomes.map(([key, status]) => ({
    type: 'key',
    key,
    task,
    status,
    duration_ms: durationNs / 1e6,
    job_id: jobId,
    trace_id: traceId,
  }))
}

/** Counts by the names that they have outside: in events and in the HTTP API. */
export function eventKeys({ planned, written, skippedPresent, skippedNewer, failed, unknown }: KeyCounts): EventKeys {
  return { planned, written, skipped_present: skippedPresent, skipped_newer: skippedNewer, failed, unknown }
}
