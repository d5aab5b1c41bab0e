import { readFileSync } from 'node:fs'
import process from 'node:process'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { EventLog } from '../events/event-log.ts'
import type { EventKeys, EventOf } from '../events/types.ts'
import type { WarmerStatus } from '../facade.ts'
import { ReadCounters } from '../gain/read-counters.ts'
import type { PredictionStatus } from '../predict/types.ts'
import type { StoreStats } from '../store/types.ts'
import {
  COUNTERS,
  GAUGES,
  HISTOGRAMS,
  MAX_PRIORITIES,
  MAX_TASKS,
  OUTCOMES,
  PREDICTION_GAUGES,
  READ_COUNTERS,
  STATUSES,
  STORE_GAUGES,
  STRATEGIES,
  WORKER_STATES,
} from './instruments.ts'
import { BoundedLabels, oneOf } from './labels.ts'
import { readDurationText, setReadSeries } from './read-series.ts'
import { UnseenKeys } from './unseen-keys.ts'

/** A read of an application's, through a cache that prewarm knows of. */
export interface CacheRead {
  /** Where the value came from; `origin` is a miss. */
  tier: 'memory' | 'redis' | 'origin'
  /** What had put it there. */
  filledBy: 'warm' | 'read' | 'unknown'
}

/** The metrics of one warmer, for Prometheus. */
export interface Metrics {
  /** Prometheus' text format. Never throws; answers within a second or so, also with Redis away. */
  text(): Promise<{ contentType: string; text: string }>
  recordRead(read: CacheRead): void
  /** Reads since the process began. */
  readonly reads: { hits: number; misses: number }
  /** Counts no further event. Safe to call twice. */
  close(): void
}

export interface MetricsOptions {
  events: EventLog
  status: () => WarmerStatus
  /** Absent: nothing is told of Redis' memory. */
  storeStats?: () => Promise<StoreStats>
  /** Absent: nothing is told of prediction. */
  prediction?: () => PredictionStatus
  /** Names of the configured tasks: the only values of the label `task`, besides `other`. */
  tasks: () => readonly string[]
  clock: Clock
  /** Counts of reads that something else feeds, too: a cache. @default new ones */
  reads?: ReadCounters
}

/** Longest wait of a scrape for Redis, ms. */
const STORE_TIMEOUT_MS = 700

/** A question that Redis has not answered for this long is asked anew, ms. */
const STORE_GIVEN_UP_MS = 60_000

type Gauges<T> = { [name in keyof T]: Gauge }

/** Counts from now on what `events` tells, in a registry of its own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { events, status, prediction, storeStats, tasks, clock, reads = new ReadCounters() } = options
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, [help, labels]: readonly [string, readonly string[]]) =>
    new Counter({ name, help, labelNames: [...labels], registers })
  const counters = mapped(COUNTERS, counter)
  const readCounters = mapped(READ_COUNTERS, counter)
  const histograms = mapped(HISTOGRAMS, (name, [help, buckets]) => {
    return new Histogram({ name, help, buckets: [...buckets], registers })
  })
  const gauge = (name: string, [help, labels]: readonly [string, readonly string[]]) =>
    new Gauge({ name, help, labelNames: [...labels], registers })
  const gauges = mapped(GAUGES, gauge)
  const storeGauges = mapped(STORE_GAUGES, gauge)
  const predictionGauges = mapped(PREDICTION_GAUGES, gauge)
  const taskLabels = new BoundedLabels(MAX_TASKS)
  const unseen = new UnseenKeys()

  const taskLabel = (task: string) => (tasks().includes(task) ? taskLabels.of(task) : 'other')
  const countKeys = (task: string, keys: EventKeys) => {
    for (const outcome of OUTCOMES) {
      const count = keys[outcome]
      if (count > 0) counters.warming_keys_total.inc({ task, outcome }, count)
    }
  }

  function onBatch(batch: EventOf<'batch'>): void {
    unseen.see(batch.job_id, batch.keys)
    countKeys(taskLabel(batch.task), batch.keys)
    counters.warming_cache_writes_total.inc(batch.keys.written)
    histograms.warming_batch_duration_seconds.observe(seconds(batch.duration_ms))
    counters.warming_origin_requests_total.inc(atLeast0(batch.origin_requests))
    if (batch.origin_requests > 0) histograms.warming_origin_duration_seconds.observe(seconds(batch.origin_ms))
  }

  function onJobEnded(job: EventOf<'job_ended'>): void {
    const { job_id, strategy, status, keys, duration_ms, coverage, is_named, left_out = {} } = job
    for (const [task, count] of Object.entries(left_out))
      counters.warming_keys_left_out_total.inc({ task: taskLabel(task) }, atLeast0(count))
    counters.warming_jobs_total.inc({ strategy: oneOf(STRATEGIES, strategy), status: oneOf(STATUSES, status) })
    histograms.warming_duration_seconds.observe(seconds(duration_ms))
    const left = unseen.end(job_id, keys)
    if (left !== null) countKeys(left.task === null ? 'other' : taskLabel(left.task), left.keys)
    const isFailure = status === 'failed' || status === 'partial'
    if (isFailure) counters.warming_failure_total.inc()
    else if (status === 'success' || status === 'skipped') counters.warming_success_total.inc()
    // One that was cancelled, or left everything to another, says nothing of how warm the cache is.
    if (is_named || (!isFailure && status !== 'success')) return
    gauges.cache_warmup_duration_seconds.set(seconds(duration_ms))
    gauges.cache_warmup_status.set(status === 'success' ? 1 : status === 'partial' ? 0.5 : 0)
    gauges.cache_keys_warmed.set(keys.written + keys.skipped_present + keys.skipped_newer)
    gauges.cache_warm_coverage_ratio.set(coverage)
    if (status === 'success') gauges.cache_warmup_last_success_timestamp_seconds.set(clock.nowMs() / 1000)
  }

  const subscriptions = [
    events.on('job_started', ({ job_id, tasks: names }) => unseen.begin(job_id, names)),
    events.on('job_ended', onJobEnded),
    events.on('batch', onBatch),
    events.on('emergency_stop', () => counters.warming_emergency_stops_total.inc()),
  ]

  // A counter that is there from the start, at 0, is one whose first increment Prometheus sees.
  for (const strategy of STRATEGIES)
    for (const end of STATUSES) counters.warming_jobs_total.inc({ strategy, status: end }, 0)
  gauges.cache_warmup_status.set(-1)
  gauges.prewarm_build_info.set({ version: ownVersion() }, 1)
  gauges.process_start_time_seconds.set(clock.nowMs() / 1000 - process.uptime())
  const look = statusReader(counters.warming_rate_limit_hits_total, gauges)
  const lookAtStore = storeReader(storeGauges, storeStats, clock)

  function lookAtProcess(): void {
    const { user, system } = process.cpuUsage()
    counters.process_cpu_seconds_total.reset()
    counters.process_cpu_seconds_total.inc((user + system) / 1e6)
    gauges.process_resident_memory_bytes.set(process.memoryUsage().rss)
  }

  function showTasks(): void {
    for (const task of new Set([...tasks(), 'other'])) {
      const label = taskLabel(task)
      for (const outcome of OUTCOMES) counters.warming_keys_total.inc({ task: label, outcome }, 0)
      counters.warming_keys_left_out_total.inc({ task: label }, 0)
    }
  }

  return {
    get reads() {
      const { hits, misses } = reads.totals()
      return { hits, misses }
    },
    recordRead: (read) => reads.told(read),
    async text() {
      // A part that can't be read is left as it was: the others are worth a scrape.
      const readSeries = () => setReadSeries(readCounters, reads)
      const predicted = () => setPrediction(predictionGauges, prediction?.())
      for (const part of [showTasks, () => look(status()), lookAtProcess, readSeries, predicted]) attempt(part)
      await lookAtStore()
      return { contentType: registry.contentType, text: `${await registry.metrics()}\n${readDurationText(reads)}` }
    },
    close() {
      for (const unsubscribe of subscriptions.splice(0)) unsubscribe()
    },
  }
}

/** Sets what a warmer's status tells. */
function statusReader(rateLimitHits: Counter, gauges: Gauges<typeof GAUGES>): (status: WarmerStatus) => void {
  const priorities = new BoundedLabels(MAX_PRIORITIES)
  return ({ queueDepth, workers, activeJobs, emergency, totals }) => {
    rateLimitHits.reset()
    rateLimitHits.inc(atLeast0(totals.rateLimitHits))
    const depths = new Map<string, number>()
    // A priority that was seen stays, at 0, so that a graph goes down to it.
    for (const known of priorities.known) depths.set(known, 0)
    for (const [priority, depth] of queueDepth) {
      const label = priorities.of(String(priority))
      depths.set(label, (depths.get(label) ?? 0) + depth)
    }
    gauges.warming_queue_depth.reset()
    for (const [priority, depth] of depths) gauges.warming_queue_depth.set({ priority }, depth)
    for (const state of WORKER_STATES)
      gauges.warming_workers.set({ state }, workers.filter((worker) => worker.state === state).length)
    gauges.warming_active_jobs.set(activeJobs)
    gauges.warming_emergency_active.set({ none: 0, stopped: 1, probing: 0.5 }[emergency.state])
  }
}

/** Sets how predictions of the last window did; takes away what is no longer known. */
function setPrediction(gauges: Gauges<typeof PREDICTION_GAUGES>, status: PredictionStatus | undefined): void {
  gauges.cache_prediction_learned_timestamp_seconds.remove()
  for (const gauge of [gauges.cache_prediction_precision_ratio, gauges.cache_prediction_coverage_ratio]) gauge.reset()
  if (status === undefined || status.foldedToMs === null) return
  gauges.cache_prediction_learned_timestamp_seconds.set(status.foldedToMs / 1000)
  for (const { predictor, precision, coverage } of status.scores) {
    gauges.cache_prediction_precision_ratio.set({ predictor }, precision)
    gauges.cache_prediction_coverage_ratio.set({ predictor }, coverage)
  }
}

/** Sets what Redis tells; takes it away when Redis does not tell in time. However many scrapes wait, Redis is asked once. */
function storeReader(
  gauges: Gauges<typeof STORE_GAUGES>,
  storeStats: (() => Promise<StoreStats>) | undefined,
  clock: Clock,
): () => Promise<void> {
  let asked: { atMs: number; answer: Promise<StoreStats | null> } | undefined
  const ask = () => {
    const nowMs = clock.nowMs()
    if (asked !== undefined && nowMs - asked.atMs < STORE_GIVEN_UP_MS) return asked.answer
    const answer = Promise.resolve()
      .then(() => storeStats?.() ?? null)
      .catch(() => null)
      .finally(() => {
        if (asked?.answer === answer) asked = undefined
      })
    asked = { atMs: nowMs, answer }
    return answer
  }
  return async () => {
    const answered = new AbortController()
    const late = clock.sleep(STORE_TIMEOUT_MS, answered.signal).then(() => null)
    const stats = storeStats === undefined ? null : await Promise.race([ask(), late])
    answered.abort()
    for (const gauge of Object.values(gauges)) gauge.remove()
    if (stats === null) return
    gauges.redis_memory_usage_bytes.set(stats.usedMemoryBytes)
    gauges.redis_memory_max_bytes.set(stats.maxMemoryBytes)
  }
}

function mapped<T extends object, R>(of: T, build: (name: string, value: T[keyof T]) => R): { [name in keyof T]: R } {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, build(name, value)])) as {
    [name in keyof T]: R
  }
}

function attempt(part: () => void): void {
  try {
    part()
  } catch {}
}

const atLeast0 = (count: number) => Math.max(0, count || 0)

const seconds = (ms: number) => atLeast0(ms) / 1000

function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
