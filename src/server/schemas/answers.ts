import { z } from '@hono/zod-openapi'
import { PREDICTORS } from '../../predict/types.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
export const JOB = 'job-mwqh41a8-13q1v'

export const time = () => z.string().openapi({ format: 'date-time', example: '2026-03-01T02:00:00.000Z' })
export const jobId = () => z.string().openapi({ example: JOB })
export const traceId = () => z.string().openapi({ description: 'W3C trace id', example: TRACE })
export const ms = () => z.number().min(0).openapi({ description: 'ms' })
export const count = () => z.int().min(0)

/** A job that was set going for single keys. */
const queued = {
  success: z.boolean(),
  queued: count().openapi({ description: 'Keys that the job will warm' }),
  job_id: jobId().nullable().openapi({ description: 'Null where there was nothing to warm' }),
  trace_id: traceId(),
  estimated_time_ms: ms().openapi({ description: 'Of limits, what is queued, and how long requests took until now' }),
}

export const KeysQueued = z
  .strictObject({
    ...queued,
    job_id: jobId(),
    keys: z.array(z.string()),
    unmatched: z.array(z.string()).openapi({ description: 'Keys that no task has; they are not warmed' }),
  })
  .openapi('KeysQueued', {
    example: {
      success: true,
      queued: 2,
      keys: ['film:1', 'film:2'],
      job_id: JOB,
      trace_id: TRACE,
      estimated_time_ms: 40,
      unmatched: [],
    },
  })

export const MatchesQueued = z
  .strictObject({
    ...queued,
    matched_keys: count(),
    keys: z.array(z.string()).max(100).openapi({ description: 'The first hundred, hottest first' }),
    truncated: z.boolean().openapi({ description: 'There are more than limit' }),
  })
  .openapi('MatchesQueued', {
    example: {
      success: true,
      queued: 2,
      matched_keys: 2,
      keys: ['film:1', 'film:2'],
      truncated: false,
      job_id: JOB,
      trace_id: TRACE,
      estimated_time_ms: 40,
    },
  })

export const Failure = z
  .strictObject({ code: z.string(), message: z.string(), detail: z.string().optional(), key: z.string().optional() })
  .openapi('Failure')

export const Counts = z
  .strictObject({
    planned: count(),
    written: count(),
    skipped_present: count(),
    skipped_newer: count(),
    failed: count(),
    unknown: count(),
  })
  .openapi('Counts', { description: 'How many keys ended in which outcome' })

export const JOB_STATUSES = ['queued', 'running', 'success', 'partial', 'failed', 'cancelled', 'skipped'] as const
const jobStatus = z.enum(JOB_STATUSES)

const jobShape = {
  job_id: jobId(),
  trace_id: traceId(),
  source: z.string().openapi({ example: 'http' }),
  strategy: z.string().openapi({ example: 'priority' }),
  schedule: z.string().nullable(),
  tasks: z.array(z.string()),
  status: jobStatus,
  instance: z.string().openapi({ description: 'The process that runs or ran it' }),
  submitted_at: time(),
  ended_at: time().nullable(),
  duration_ms: ms().nullable(),
  keys: Counts.nullable(),
  coverage: z.number().min(0).max(1).nullable(),
}

export const Job = z.strictObject(jobShape).openapi('Job', { description: 'A job; null: not before its end' })

export const TaskOutcome = z
  .strictObject({
    task: z.string(),
    priority: z.number(),
    status: jobStatus,
    keys: Counts,
    deduplicated: count().openapi({ description: 'Keys that another job was warming already' }),
    left_out: count().openapi({ description: 'Keys that Redis had no room for' }),
    not_chosen: count().openapi({ description: 'Keys that the strategy did not choose' }),
    duration_ms: ms(),
    origin_requests: count(),
    first_error: Failure.nullable(),
  })
  .openapi('TaskOutcome')

const bytes = () => count().openapi({ description: 'Bytes' })

export const LeftOut = z
  .strictObject({
    left_out: count().openapi({ description: 'Keys; they are not in planned' }),
    is_exact: z
      .boolean()
      .openapi({ description: 'False: the rest of a query is among them, which nobody has counted' }),
    reason: z.string(),
    used_memory: bytes(),
    max_memory: bytes(),
    eviction_policy: z.string(),
    evicted_keys: count()
      .nullable()
      .openapi({ description: 'Keys that Redis dropped while the job ran; null: not known' }),
  })
  .openapi('LeftOut')

export const JobDetail = z
  .strictObject({
    ...jobShape,
    task_results: z.array(TaskOutcome),
    latency_ms: z.strictObject({ p50: ms(), p95: ms(), p99: ms(), max: ms() }).nullable(),
    memory: LeftOut.nullable().openapi({
      description: 'What was left out so that Redis keeps what it has; null: nothing',
    }),
  })
  .openapi('JobDetail', { description: 'A job with what became of each task; null and empty: not before its end' })

export const Jobs = z.strictObject({ jobs: z.array(Job).max(200) }).openapi('Jobs')

export const Cancelled = z.strictObject({ success: z.literal(true), job_id: jobId() }).openapi('Cancelled')

export const JobStarted = z
  .strictObject({ success: z.boolean(), job_id: jobId(), trace_id: traceId(), tasks: z.array(z.string()) })
  .openapi('JobStarted')

export const JobEnded = z
  .strictObject({ success: z.boolean(), job_id: jobId(), trace_id: traceId(), job: JobDetail })
  .openapi('JobEnded')

export const Planned = z
  .strictObject({
    success: z.literal(true),
    dry_run: z.literal(true),
    plan: z.array(
      z.strictObject({
        task: z.string(),
        key: z.string(),
        priority: z.number(),
        kind: z.enum(['sql', 'load', 'http']),
        value: z.string(),
        mode: z.enum(['overwrite', 'add', 'newer']),
        ttl_ms: ms(),
        keys: count().nullable(),
        batches: count().nullable(),
        origin_requests: count().nullable(),
        sample: z.array(z.string()),
        error: Failure.nullable(),
      }),
    ),
    explain: z
      .strictObject({
        strategy: z.string(),
        reads_known: z.boolean().openapi({ description: 'False: nobody has told of a read in the last hour' }),
        keys: z.array(
          z.strictObject({
            rank: count(),
            key: z.string(),
            task: z.string(),
            priority: z.number(),
            why: z.record(z.string(), z.number().nullable()).openapi({
              description:
                'What the priority came from, by name; null: not known. reads_per_hour and cost_ms are of one key',
            }),
          }),
        ),
      })
      .optional()
      .openapi({ description: 'With explain: the keys that come first, 20 unless count says how many' }),
  })
  .openapi('Planned')

const share = () => z.number().min(0).max(1)

export const HotKeys = z
  .strictObject({
    predictor: z.enum(PREDICTORS),
    window_ms: ms().openapi({ description: 'Length of a window, ms: what is read in the next one is predicted' }),
    learned_until: time()
      .nullable()
      .openapi({ description: 'The end of the last window that was learned from; null before the first' }),
    windows: count().openapi({ description: 'Windows that were learned from' }),
    keys: z.array(
      z.strictObject({
        key: z.string(),
        score: z.number().openapi({ description: 'Of learned and decayed: reads that are expected in a window' }),
        reason: z.string().openapi({ description: 'What the score came from' }),
        task: z.string().nullable().openapi({ description: 'The task that can warm it; null: none' }),
      }),
    ),
    scores: z
      .array(
        z.strictObject({
          predictor: z.enum(PREDICTORS),
          keys: count().openapi({ description: 'Keys that were predicted' }),
          precision: share().openapi({ description: 'Share of the predicted keys that were read' }),
          coverage: share().openapi({ description: 'Share of the reads that were of predicted keys' }),
        }),
      )
      .openapi({ description: 'How predictions of the last window did; empty before the second' }),
  })
  .openapi('HotKeys')

export const Status = z
  .strictObject({
    active_jobs: count(),
    queued_tasks: count(),
    worker_status: z.array(
      z.strictObject({
        id: z.string(),
        state: z.enum(['starting', 'idle', 'busy']),
        current_key: z.string().nullable(),
        started_at: time().nullable(),
      }),
    ),
    emergency_stop: z
      .boolean()
      .openapi({ description: 'Also while a few batches find out whether the origin is well' }),
    running: z.boolean(),
    metrics: z
      .strictObject({
        jobs_total: count(),
        success_total: count(),
        failure_total: count(),
        success_rate: z.number().min(0).max(1).openapi({ description: 'Of jobs; 1 before the first' }),
        origin_requests: count(),
        cache_writes: count(),
        rate_limit_hits: count(),
        emergency_stops: count(),
        avg_duration_ms: ms(),
      })
      .openapi({ description: 'Since the process began' }),
  })
  .openapi('Status')

export const Cleared = z
  .strictObject({
    success: z.literal(true),
    matched: count(),
    deleted: count(),
    sample: z.array(z.string()),
    dry_run: z.boolean(),
  })
  .openapi('Cleared')

export const Halted = z
  .strictObject({
    success: z.boolean(),
    settled: z.boolean().openapi({ description: 'After this answer no worker writes' }),
    halted: count().openapi({ description: 'Batches that were told to stop and are queued again' }),
    emergency_stop: z.boolean(),
  })
  .openapi('Halted')

export const Resumed = z.strictObject({ success: z.literal(true), emergency_stop: z.boolean() }).openapi('Resumed')
