import type { z } from '@hono/zod-openapi'
import type { JobRecord } from '../coordination/types.ts'
import type { WarmerStatus } from '../facade.ts'
import type { PlannedJob } from '../inspect/plan.ts'
import { eventKeys } from '../job/describe.ts'
import type { MemoryReport, PlanEntry, PlanExplanation, TaskResult } from '../types.ts'
import type { Job, JobDetail, LeftOut, Planned, Status, TaskOutcome } from './schemas/answers.ts'

/** Nanoseconds as ms, to the microsecond. */
const msOf = (ns: number) => Math.round(ns / 1000) / 1000

export function showJob({ result, ...record }: JobRecord): z.infer<typeof Job> {
  return {
    job_id: record.id,
    trace_id: record.traceId,
    source: record.source,
    strategy: record.strategy,
    schedule: record.schedule,
    tasks: record.tasks,
    status: record.status,
    instance: record.instance,
    submitted_at: record.submittedAt,
    ended_at: result?.endedAt ?? null,
    duration_ms: result === null ? null : msOf(result.durationNs),
    keys: result === null ? null : eventKeys(result.keys),
    coverage: result?.coverage ?? null,
  }
}

export function showJobDetail(record: JobRecord): z.infer<typeof JobDetail> {
  const { result } = record
  const latency = result?.latencyNs
  return {
    ...showJob(record),
    task_results: (result?.tasks ?? []).map(showTask),
    latency_ms:
      latency === undefined
        ? null
        : { p50: msOf(latency.p50), p95: msOf(latency.p95), p99: msOf(latency.p99), max: msOf(latency.max) },
    memory: result?.memory === undefined ? null : showLeftOut(result.memory),
  }
}

function showLeftOut(memory: MemoryReport): z.infer<typeof LeftOut> {
  const { leftOut, isExact, reason, usedMemoryBytes, maxMemoryBytes, evictionPolicy, evictedKeys } = memory
  return {
    left_out: leftOut,
    is_exact: isExact,
    reason,
    used_memory: usedMemoryBytes,
    max_memory: maxMemoryBytes,
    eviction_policy: evictionPolicy,
    evicted_keys: evictedKeys === null ? null : Math.max(0, evictedKeys),
  }
}

function showTask(task: TaskResult): z.infer<typeof TaskOutcome> {
  return {
    task: task.task,
    priority: task.priority,
    status: task.status,
    keys: eventKeys(task.keys),
    deduplicated: task.deduplicated,
    left_out: task.leftOut ?? 0,
    not_chosen: task.notChosen ?? 0,
    duration_ms: msOf(task.durationNs),
    origin_requests: task.originRequests,
    first_error: task.firstError,
  }
}

export function showPlan(planned: PlannedJob | PlanEntry[]): z.infer<typeof Planned> {
  const { tasks, explain } = Array.isArray(planned) ? { tasks: planned, explain: null } : planned
  const plan = tasks.map(({ ttlMs, originRequests, ...rest }) => ({
    ...rest,
    ttl_ms: ttlMs,
    origin_requests: originRequests,
  }))
  return { success: true, dry_run: true, plan, ...(explain === null ? {} : { explain: showExplanation(explain) }) }
}

function showExplanation({
  strategy,
  readsKnown,
  keys,
}: PlanExplanation): NonNullable<z.infer<typeof Planned>['explain']> {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const shown = keys.map(({ why, ...rest }) => ({
    ...rest,
    why: Object.fromEntries(Object.entries(why).map(([name, value]) => [snake(name), value])),
  }))
  return { strategy, reads_known: readsKnown, keys: shown }
}

export function showStatus({
  running,
  activeJobs,
  queuedTasks,
  workers,
  emergency,
  totals,
}: WarmerStatus): z.infer<typeof Status> {
  const ended = totals.succeeded + totals.failed
  return {
    active_jobs: activeJobs,
    queued_tasks: queuedTasks,
    worker_status: workers.map(({ id, state, currentKey, startedAt }) => ({
      id,
      state,
      current_key: currentKey,
      started_at: startedAt,
    })),
    emergency_stop: emergency.state !== 'none',
    running,
    metrics: {
      jobs_total: totals.jobs,
      success_total: totals.succeeded,
      failure_total: totals.failed,
      success_rate: ended === 0 ? 1 : totals.succeeded / ended,
      origin_requests: totals.originRequests,
      cache_writes: totals.cacheWrites,
      rate_limit_hits: totals.rateLimitHits,
      emergency_stops: totals.emergencyStops,
      avg_duration_ms: Math.round(totals.averageDurationMs * 1000) / 1000,
    },
  }
}
