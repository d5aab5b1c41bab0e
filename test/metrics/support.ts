/** What a warmer would tell the metrics and the tracer: its events, and a status. */
import type { EventLog } from '../../src/events/event-log.ts'
import type { EventKeys, EventOf } from '../../src/events/types.ts'
import type { WarmerStatus } from '../../src/facade.ts'

export const TRACE = '0af7651916cd43dd8448eb211c80319c'

/** Counts whose `planned` is their sum. */
export function keysOf(counts: Partial<EventKeys>): EventKeys {
  const keys = { written: 0, skipped_present: 0, skipped_newer: 0, failed: 0, unknown: 0, ...counts }
  const { written, skipped_present, skipped_newer, failed, unknown } = keys
  return { ...keys, planned: written + skipped_present + skipped_newer + failed + unknown }
}

export function idleStatus(over: Partial<WarmerStatus> = {}): WarmerStatus {
  const totals = {
    jobs: 0,
    succeeded: 0,
    failed: 0,
    originRequests: 0,
    cacheWrites: 0,
    rateLimitHits: 0,
    emergencyStops: 0,
    averageDurationMs: 0,
  }
  return {
    running: true,
    activeJobs: 0,
    queuedTasks: 0,
    queueDepth: new Map(),
    workers: [],
    emergency: { state: 'none' },
    totals,
    ...over,
  }
}

export function begin(events: EventLog, job: Partial<EventOf<'job_started'>> = {}): void {
  events.emit({
    type: 'job_started',
    job_id: 'job',
    trace_id: TRACE,
    source: 'program',
    strategy: 'priority',
    tasks: ['films'],
    ...job,
  })
}

export function batch(events: EventLog, counts: Partial<EventKeys>, more: Partial<EventOf<'batch'>> = {}): void {
  events.emit({
    type: 'batch',
    job_id: 'job',
    trace_id: TRACE,
    task: 'films',
    worker: '1',
    status: 'done',
    duration_ms: 40,
    origin_ms: 30,
    origin_requests: 1,
    keys: keysOf(counts),
    ...more,
  })
}

export function end(events: EventLog, counts: Partial<EventKeys>, more: Partial<EventOf<'job_ended'>> = {}): void {
  events.emit({
    type: 'job_ended',
    job_id: 'job',
    trace_id: TRACE,
    source: 'program',
    strategy: 'priority',
    status: 'success',
    duration_ms: 1500,
    keys: keysOf(counts),
    coverage: 1,
    is_named: false,
    ...more,
  })
}

/** A whole job of one batch. */
export function wholeJob(events: EventLog, counts: Partial<EventKeys>, status = 'success'): void {
  begin(events)
  batch(events, counts)
  end(events, counts, { status })
}

/** Value of a series by its full name, as in `warming_jobs_total{strategy="priority",status="success"}`. */
export function sampleOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/** The series of one metric, without their values. */
export function seriesOf(text: string, metric: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
  return lines.map((line) => line.slice(0, line.lastIndexOf(' ')))
}
