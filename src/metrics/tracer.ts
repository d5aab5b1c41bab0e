import { ROOT_CONTEXT, type Span, SpanStatusCode, TraceFlags, type Tracer, trace } from '@opentelemetry/api'
import type { Clock } from '../clock.ts'
import type { EventLog } from '../events/event-log.ts'
import type { EventOf } from '../events/types.ts'

/** Jobs whose spans are open at once; beyond that the oldest is ended as it is. */
const MAX_OPEN = 1000

/** Names that the attribute `prewarm.tasks` holds at most. */
const MAX_NAMES = 100

export interface TraceJobsOptions {
  events: EventLog
  clock: Clock
}

/**
 * Makes an OpenTelemetry span of each job from now on (`prewarm.job`), with one below it for each batch (`prewarm.batch`);
 * the returned function ends that, and the spans that are still open. Without a tracer provider of the program's it does
 * nothing.
 *
 * A span's parent is the caller's (`traceparent`). The API can't begin a trace with an id that is given, so a job nobody
 * called has a remote parent, too: a span that nobody ever reports, whose id is the end of the trace id. Whether the
 * caller sampled its trace is not known here: it counts as sampled, and the program's sampler has the last word.
 */
export function traceJobs({ events, clock }: TraceJobsOptions): () => void {
  const tracer = trace.getTracer('prewarm')
  const open = new Map<string, Span>()

  function abandon(jobId: string, span: Span): void {
    open.delete(jobId)
    span.setAttribute('prewarm.abandoned', true)
    span.end(timeOf(clock.nowMs()))
  }

  const subscriptions = [
    events.on('job_started', (job) => {
      open.set(job.job_id, beginJob(tracer, job, clock.nowMs()))
      for (const [oldest, span] of open) {
        if (open.size <= MAX_OPEN) break
        abandon(oldest, span)
      }
    }),
    events.on('batch', (batch) => {
      const job = open.get(batch.job_id)
      if (job !== undefined) recordBatch(tracer, job, batch, clock.nowMs())
    }),
    events.on('job_ended', (job) => {
      const span = open.get(job.job_id)
      open.delete(job.job_id)
      if (span !== undefined) endJob(span, job, clock.nowMs())
    }),
  ]
  return () => {
    for (const unsubscribe of subscriptions.splice(0)) unsubscribe()
    for (const [jobId, span] of [...open]) abandon(jobId, span)
  }
}

function beginJob(tracer: Tracer, job: EventOf<'job_started'>, nowMs: number): Span {
  const { trace_id: traceId, parent_span_id: parent } = job
  const spanId = parent ?? spanIdOf(traceId)
  const caller = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true })
  const attributes = {
    'prewarm.job_id': job.job_id,
    'prewarm.source': job.source,
    'prewarm.strategy': job.strategy,
    'prewarm.tasks': job.tasks.slice(0, MAX_NAMES),
    ...(job.schedule === undefined ? {} : { 'prewarm.schedule': job.schedule }),
  }
  return tracer.startSpan('prewarm.job', { startTime: timeOf(nowMs), attributes }, caller)
}

function endJob(span: Span, { status, coverage, keys }: EventOf<'job_ended'>, nowMs: number): void {
  span.setAttributes({ 'prewarm.status': status, 'prewarm.coverage': coverage, ...countsOf(keys) })
  if (status === 'failed' || status === 'partial') {
    const message = `${status}: ${keys.failed} of ${keys.planned} keys failed, ${keys.unknown} unknown`
    span.setStatus({ code: SpanStatusCode.ERROR, message })
  }
  span.end(timeOf(nowMs))
}

/** A batch is told of when it has ended, so its span is made whole. */
function recordBatch(tracer: Tracer, job: Span, batch: EventOf<'batch'>, nowMs: number): void {
  const attributes = {
    'prewarm.task': batch.task,
    'prewarm.worker': batch.worker,
    'prewarm.status': batch.status,
    'prewarm.origin_ms': batch.origin_ms,
    'prewarm.origin_requests': batch.origin_requests,
    ...countsOf(batch.keys),
  }
  const startTime = timeOf(nowMs - Math.max(0, batch.duration_ms))
  const span = tracer.startSpan('prewarm.batch', { startTime, attributes }, trace.setSpan(ROOT_CONTEXT, job))
  if (batch.status !== 'done') span.setStatus({ code: SpanStatusCode.ERROR, message: `the batch is ${batch.status}` })
  span.end(timeOf(nowMs))
}

function countsOf(keys: EventOf<'batch'>['keys']): Record<string, number> {
  return {
    'prewarm.keys.planned': keys.planned,
    'prewarm.keys.written': keys.written,
    'prewarm.keys.skipped_present': keys.skipped_present,
    'prewarm.keys.skipped_newer': keys.skipped_newer,
    'prewarm.keys.failed': keys.failed,
    'prewarm.keys.unknown': keys.unknown,
  }
}

/** All zeros is no span id; a trace id is never all zeros. */
function spanIdOf(traceId: string): string {
  const end = traceId.slice(16)
  return /^0+$/.test(end) ? traceId.slice(0, 16) : end
}

/** Seconds and nanoseconds: a bare number may be taken for `performance.now()`. */
function timeOf(ms: number): [number, number] {
  const whole = Math.floor(ms / 1000)
  return [whole, Math.min(999_999_999, Math.round((ms - whole * 1000) * 1e6))]
}
