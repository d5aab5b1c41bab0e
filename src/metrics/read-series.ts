import type { Counter } from 'prom-client'
import type { ReadCounters } from '../gain/read-counters.ts'
import { READ_BUCKETS } from '../gain/read-latency.ts'
import { FILLED_BY, HIT_TIERS, type READ_COUNTERS, READ_DURATION, TIERS } from './instruments.ts'

/** Sets the counters to what was read since the process began: a scrape costs more than a read, and is rarer. */
export function setReadSeries(
  series: { [name in keyof typeof READ_COUNTERS]: Pick<Counter, 'inc' | 'reset'> },
  reads: ReadCounters,
): void {
  for (const one of Object.values(series)) one.reset()
  // What is there from the start, at 0, is what Prometheus sees the first increment of.
  series.cache_misses_total.inc(0)
  for (const tier of HIT_TIERS) {
    for (const filled_by of FILLED_BY) series.cache_hits_total.inc({ tier, filled_by }, 0)
    series.cache_stale_total.inc({ tier }, 0)
  }
  for (const tier of TIERS) series.cache_errors_total.inc({ tier }, 0)
  for (const [keyspace, { hits, misses, stale, errors }] of reads.keyspaces) {
    const counts = { hit: 0, stale: 0, miss: misses, error: 0 }
    series.cache_misses_total.inc(misses)
    for (const tier of HIT_TIERS) {
      for (const filled_by of FILLED_BY) {
        series.cache_hits_total.inc({ tier, filled_by }, hits[tier][filled_by])
        counts.hit += hits[tier][filled_by]
      }
      series.cache_stale_total.inc({ tier }, stale[tier])
      counts.stale += stale[tier]
    }
    for (const tier of TIERS) {
      series.cache_errors_total.inc({ tier }, errors[tier])
      counts.error += errors[tier]
    }
    for (const [result, count] of Object.entries(counts))
      series.cache_keyspace_reads_total.inc({ keyspace, result }, count)
  }
  series.cache_invalidations_total.inc(reads.invalidations)
}

/** How long reads took, by tier, in Prometheus' text format: its client can't be given counts that are there already. */
export function readDurationText(reads: ReadCounters): string {
  const [name, help] = READ_DURATION
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
  for (const tier of TIERS) {
    const latency = reads.latencyOf(tier)
    for (const [at, count] of latency.cumulative().entries())
      lines.push(`${name}_bucket{le="${READ_BUCKETS[at]}",tier="${tier}"} ${count}`)
    lines.push(
      `${name}_bucket{le="+Inf",tier="${tier}"} ${latency.count}`,
      `${name}_sum{tier="${tier}"} ${latency.sumSeconds}`,
      `${name}_count{tier="${tier}"} ${latency.count}`,
    )
  }
  return `${lines.join('\n')}\n`
}
