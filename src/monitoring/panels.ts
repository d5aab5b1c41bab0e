type Unit = 'percentunit' | 's' | 'bytes' | 'ops' | 'short' | 'none' | 'dateTimeFromNow'

/** One panel, without what all have. */
export interface PanelSpec {
  title: string
  description: string
  kind: 'stat' | 'timeseries'
  unit: Unit
  /** Query -> legend. */
  targets: Record<string, string>
  /** Values that are shown as words or colours. */
  mappings?: Record<string, { text: string; color: string }>
  /** From which value on which colour holds. */
  steps?: [from: number | null, color: string][]
  /** Grafana's columns, of 24. */
  width: number
  stacked?: boolean
}

const JOB = '{job=~"$job"}'
const labelled = (labels: string) => `{job=~"$job",${labels}}`
const rate = (metric: string, labels = JOB) => `rate(${metric}${labels}[$__rate_interval])`
const quantile = (q: number, metric: string) => `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`
const quantiles = (metric: string) => ({
  [quantile(0.5, metric)]: 'p50',
  [quantile(0.95, metric)]: 'p95',
  [quantile(0.99, metric)]: 'p99',
})
const HITS = `sum(${rate('cache_hits_total')})`
const MISSES = `sum(${rate('cache_misses_total')})`

const GOOD_ABOVE = (bad: number, good: number): [number | null, string][] => [
  [null, 'red'],
  [bad, 'orange'],
  [good, 'green'],
]

const NOW: PanelSpec[] = [
  {
    title: 'Last warm-up',
    description: 'How the last warm-up of any instance ended.',
    kind: 'stat',
    unit: 'none',
    targets: {
      [`cache_warmup_status${JOB} and on (job, instance) topk(1, cache_warmup_last_success_timestamp_seconds${JOB})`]:
        '{{instance}}',
    },
    mappings: {
      '-1': { text: 'none yet', color: 'blue' },
      '0': { text: 'failed', color: 'red' },
      '0.5': { text: 'partial', color: 'orange' },
      '1': { text: 'success', color: 'green' },
    },
    width: 4,
  },
  {
    title: 'Last success',
    description: 'When a warm-up last succeeded, on any instance.',
    kind: 'stat',
    unit: 'dateTimeFromNow',
    targets: { [`max(cache_warmup_last_success_timestamp_seconds${JOB} > 0) * 1000`]: '' },
    width: 4,
  },
  {
    title: 'Coverage',
    description: 'Share of the last plan that was in Redis at its end. It is not the hit rate.',
    kind: 'stat',
    unit: 'percentunit',
    targets: { [`min(cache_warm_coverage_ratio${JOB} and on (job, instance) cache_warmup_status${JOB} >= 0)`]: '' },
    steps: GOOD_ABOVE(0.8, 0.95),
    width: 4,
  },
  {
    title: 'Hit rate',
    description: 'Share of real reads that were served without the origin.',
    kind: 'stat',
    unit: 'percentunit',
    targets: { [`${HITS} / (${HITS} + ${MISSES})`]: '' },
    steps: GOOD_ABOVE(0.5, 0.8),
    width: 4,
  },
  {
    title: 'Emergency stop',
    description: 'Instances on which an emergency stop is in force, or which are probing whether it can end.',
    kind: 'stat',
    unit: 'none',
    targets: { [`sum(warming_emergency_active${JOB} > bool 0)`]: '' },
    steps: [
      [null, 'green'],
      [1, 'red'],
    ],
    width: 4,
  },
  {
    title: 'Redis memory',
    description: 'Used share of maxmemory; empty where there is no bound.',
    kind: 'stat',
    unit: 'percentunit',
    targets: { [`max(redis_memory_usage_bytes${JOB}) / max(redis_memory_max_bytes${JOB} > 0)`]: '' },
    steps: [
      [null, 'green'],
      [0.8, 'orange'],
      [0.9, 'red'],
    ],
    width: 4,
  },
]

const WARMING: PanelSpec[] = [
  {
    title: 'Jobs by status',
    description: 'Jobs that ended.',
    kind: 'timeseries',
    unit: 'short',
    targets: { [`sum by (status) (increase(warming_jobs_total${JOB}[$__rate_interval]))`]: '{{status}}' },
    width: 8,
    stacked: true,
  },
  {
    title: 'Keys by outcome',
    description: 'Keys a second.',
    kind: 'timeseries',
    unit: 'ops',
    targets: { [`sum by (outcome) (${rate('warming_keys_total')})`]: '{{outcome}}' },
    width: 8,
    stacked: true,
  },
  {
    title: 'Failed keys by task',
    description: 'Share of each task’s keys that failed, or whose write was never confirmed.',
    kind: 'timeseries',
    unit: 'percentunit',
    targets: {
      [`sum by (task) (${rate('warming_keys_total', labelled('outcome=~"failed|unknown"'))}) / sum by (task) (${rate('warming_keys_total')})`]:
        '{{task}}',
    },
    width: 8,
  },
  {
    title: 'Duration of jobs',
    description: 'Quantiles, and the last warm-up.',
    kind: 'timeseries',
    unit: 's',
    targets: {
      [quantile(0.5, 'warming_duration_seconds')]: 'p50',
      [quantile(0.95, 'warming_duration_seconds')]: 'p95',
      [`max(cache_warmup_duration_seconds${JOB})`]: 'last warm-up',
    },
    width: 8,
  },
  {
    title: 'Duration of batches',
    description: 'From the permit to the end.',
    kind: 'timeseries',
    unit: 's',
    targets: quantiles('warming_batch_duration_seconds'),
    width: 8,
  },
  {
    title: 'Queue and workers',
    description: 'Queued tasks by priority, workers by state.',
    kind: 'timeseries',
    unit: 'short',
    targets: {
      [`sum by (priority) (warming_queue_depth${JOB})`]: 'queued, priority {{priority}}',
      [`sum by (state) (warming_workers${JOB})`]: 'workers {{state}}',
      [`sum(warming_active_jobs${JOB})`]: 'active jobs',
    },
    width: 8,
  },
]

const ORIGIN_AND_CACHE: PanelSpec[] = [
  {
    title: 'Origin',
    description: 'Requests, times that work waited for leave, writes to Redis: each a second.',
    kind: 'timeseries',
    unit: 'ops',
    targets: {
      [`sum(${rate('warming_origin_requests_total')})`]: 'requests',
      [`sum(${rate('warming_rate_limit_hits_total')})`]: 'waits for the rate limit',
      [`sum(${rate('warming_cache_writes_total')})`]: 'keys written',
    },
    width: 8,
  },
  {
    title: 'Latency of the origin',
    description: 'What a batch spent there.',
    kind: 'timeseries',
    unit: 's',
    targets: quantiles('warming_origin_duration_seconds'),
    width: 8,
  },
  {
    title: 'Emergency stops',
    description: 'Stops that began.',
    kind: 'timeseries',
    unit: 'short',
    targets: {
      [`sum by (instance) (increase(warming_emergency_stops_total${JOB}[$__rate_interval]))`]: '{{instance}}',
    },
    width: 8,
  },
  {
    title: 'Reads',
    description: 'By what served them, a second.',
    kind: 'timeseries',
    unit: 'ops',
    targets: {
      [`sum by (tier, filled_by) (${rate('cache_hits_total')})`]: '{{tier}}, filled by {{filled_by}}',
      [MISSES]: 'origin (miss)',
    },
    width: 8,
    stacked: true,
  },
  {
    title: 'Memory of Redis',
    description: 'Used, and the bound.',
    kind: 'timeseries',
    unit: 'bytes',
    targets: {
      [`max(redis_memory_usage_bytes${JOB})`]: 'used',
      [`max(redis_memory_max_bytes${JOB} > 0)`]: 'maxmemory',
    },
    width: 8,
  },
  {
    title: 'Process',
    description: 'Cores in use, and resident memory in GiB, by instance.',
    kind: 'timeseries',
    unit: 'short',
    targets: {
      [`rate(process_cpu_seconds_total${JOB}[$__rate_interval])`]: 'cores {{instance}}',
      [`process_resident_memory_bytes${JOB} / 1024 ^ 3`]: 'GiB {{instance}}',
    },
    width: 8,
  },
]

/** The dashboard from top to bottom. */
export const SECTIONS: [title: string, height: number, panels: PanelSpec[]][] = [
  ['Now', 4, NOW],
  ['Warming', 8, WARMING],
  ['Origin and cache', 8, ORIGIN_AND_CACHE],
]
