/** The metrics by name, as data: src/metrics/prometheus.ts builds them. Units are in the names, as Prometheus wants them. */

export const STRATEGIES = ['selective', 'breadth', 'priority'] as const
export const STATUSES = ['success', 'partial', 'failed', 'cancelled', 'skipped'] as const
export const OUTCOMES = ['written', 'skipped_present', 'skipped_newer', 'failed', 'unknown'] as const
export const WORKER_STATES = ['starting', 'idle', 'busy'] as const
export const HIT_TIERS = ['memory', 'redis'] as const
export const TIERS = ['memory', 'redis', 'origin'] as const
export const FILLED_BY = ['warm', 'read', 'unknown'] as const

/** Seconds. A job takes from milliseconds to its bound of minutes; a batch and a read from under a millisecond to seconds. */
export const JOB_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600]
export const BATCH_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30]

/** Values that the label `priority` takes at most, besides `other`. */
export const MAX_PRIORITIES = 20
/** Values that the label `task` takes at most over all configurations this process has had, besides `other`. */
export const MAX_TASKS = 1000

export const COUNTERS = {
  warming_jobs_total: ['Jobs that have ended, by strategy and final status.', ['strategy', 'status']],
  warming_keys_total: [
    'Keys, by task and outcome; task other: not a configured one, or given up outside batches by a job of several tasks.',
    ['task', 'outcome'],
  ],
  warming_keys_left_out_total: ['Keys that were not warmed, for Redis had no room for them, by task.', ['task']],
  warming_success_total: ['Jobs that ended with every key warm, or had left all of them to another job.', []],
  warming_failure_total: ['Jobs that ended failed or partial.', []],
  warming_origin_requests_total: ['Requests to the origin; one for a query or a page.', []],
  warming_rate_limit_hits_total: ['Times that work had to wait for leave to ask the origin.', []],
  warming_emergency_stops_total: ['Emergency stops, by hand and by the origin.', []],
  warming_cache_writes_total: ['Keys whose write Redis confirmed.', []],
  process_cpu_seconds_total: ['CPU time that the process took, user and system.', []],
} as const

/** What readers found; set at a scrape. */
export const READ_COUNTERS = {
  cache_hits_total: ['Reads served without the origin, by tier and by what had filled it.', ['tier', 'filled_by']],
  cache_misses_total: ['Reads that went to the origin.', []],
  cache_stale_total: ['Of the hits, those on a value in its grace, while it was refreshed.', ['tier']],
  cache_errors_total: ['Times that a layer could not be asked, or that a load failed (tier origin).', ['tier']],
  cache_invalidations_total: ['Keys, or tags, that this process invalidated.', []],
  cache_keyspace_reads_total: [
    'Reads by keyspace (a task, or other); result stale: those of the hits that were in their grace; error: as cache_errors_total.',
    ['keyspace', 'result'],
  ],
} as const

export const GAUGES = {
  warming_queue_depth: ['Queued tasks, by priority.', ['priority']],
  warming_workers: ['Workers, by state.', ['state']],
  warming_active_jobs: ['Jobs that have begun and not ended.', []],
  warming_emergency_active: [
    '1 while an emergency stop is in force, 0.5 while probing whether it can end, else 0.',
    [],
  ],
  cache_warmup_duration_seconds: ['How long the last warm-up took.', []],
  cache_warmup_status: ['How the last warm-up ended: 1 success, 0.5 partial, 0 failed; -1 before the first.', []],
  cache_warmup_last_success_timestamp_seconds: ['When a warm-up last ended with success; 0 before the first.', []],
  cache_keys_warmed: ['Keys that were in Redis after the last warm-up, because of it or despite it.', []],
  cache_warm_coverage_ratio: ['Share of the last plan that was in Redis and unexpired at its end.', []],
  prewarm_build_info: ['1, with the version.', ['version']],
  process_start_time_seconds: ['When the process began.', []],
  process_resident_memory_bytes: ['Resident memory that the process holds.', []],
} as const

/** Only there once prediction has learned something. */
export const PREDICTION_GAUGES = {
  cache_prediction_precision_ratio: [
    'Share of the keys predicted for the last window that were read in it, by way of predicting.',
    ['predictor'],
  ],
  cache_prediction_coverage_ratio: [
    "Share of the last window's reads that were of keys predicted for it, by way of predicting.",
    ['predictor'],
  ],
  cache_prediction_learned_timestamp_seconds: ['End of the last window that prediction has learned from.', []],
} as const

/** Only there while Redis answers. */
export const STORE_GAUGES = {
  redis_memory_usage_bytes: ["Redis' used memory.", []],
  redis_memory_max_bytes: ["Redis' maxmemory; 0: no bound.", []],
} as const

export const HISTOGRAMS = {
  warming_duration_seconds: ["A job's duration.", JOB_BUCKETS],
  warming_batch_duration_seconds: ["A batch's duration, from the permit to its end.", BATCH_BUCKETS],
  warming_origin_duration_seconds: ['What a batch spent at the origin.', BATCH_BUCKETS],
} as const

/** Name and help. Its buckets are those of src/gain/read-latency.ts. */
export const READ_DURATION = ['cache_read_duration_seconds', 'How long reads took, by the tier that answered.'] as const
