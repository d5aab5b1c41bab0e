import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import { ReadCounters } from '../../src/gain/read-counters.ts'
import { createMetrics, type Metrics } from '../../src/metrics/prometheus.ts'
import { FakeClock } from '../fakes/clock.ts'
import { told } from '../gain/support.ts'
import { idleStatus, sampleOf, seriesOf } from './support.ts'

describe('metrics of reads', () => {
  let reads: ReadCounters
  let metrics: Metrics
  const text = async () => (await metrics.text()).text

  beforeEach(() => {
    const clock = new FakeClock()
    reads = new ReadCounters()
    metrics = createMetrics({
      events: new EventLog({ clock }),
      status: idleStatus,
      tasks: () => ['films'],
      clock,
      reads,
    })
  })
  afterEach(() => metrics.close())

  it('begin at 0', async () => {
    const now = await text()
    for (const series of [
      'cache_misses_total',
      'cache_stale_total{tier="memory"}',
      'cache_errors_total{tier="origin"}',
      'cache_invalidations_total',
      'cache_read_duration_seconds_count{tier="redis"}',
      'cache_read_duration_seconds_bucket{le="+Inf",tier="redis"}',
    ])
      assertEquals(sampleOf(now, series), 0, series)
  })

  it('tell what a cache and the program told, and the same at the next scrape', async () => {
    reads.read(told({ durationNs: 2_000_000 }))
    reads.read(told({ status: 'stale', filledBy: 'read', durationNs: 20_000_000 }))
    reads.read(told({ keyspace: null, tier: 'origin', status: 'miss' }))
    reads.error({ keyspace: 'films', tier: 'redis' })
    reads.invalidated(3)
    metrics.recordRead({ tier: 'memory', filledBy: 'unknown' })
    await text()
    const now = await text()
    const of = (series: string) => sampleOf(now, series)
    assertEquals(of('cache_hits_total{tier="redis",filled_by="warm"}'), 1)
    assertEquals(of('cache_hits_total{tier="redis",filled_by="read"}'), 1)
    assertEquals(of('cache_hits_total{tier="memory",filled_by="unknown"}'), 1)
    assertEquals([of('cache_misses_total'), of('cache_invalidations_total')], [1, 3])
    assertEquals([of('cache_stale_total{tier="redis"}'), of('cache_errors_total{tier="redis"}')], [1, 1])
    const byKeyspace = ['hit', 'stale', 'miss', 'error'].map((result) =>
      of(`cache_keyspace_reads_total{keyspace="films",result="${result}"}`),
    )
    assertEquals(byKeyspace, [2, 1, 0, 1])
    assertEquals(of('cache_keyspace_reads_total{keyspace="other",result="miss"}'), 1)
    assertEquals(metrics.reads, { hits: 3, misses: 1 })
    const bucket = (le: number) => of(`cache_read_duration_seconds_bucket{le="${le}",tier="redis"}`)
    assertEquals([bucket(0.001), bucket(0.0025), bucket(0.01), bucket(0.025)], [0, 1, 1, 2])
    assertEquals(of('cache_read_duration_seconds_count{tier="redis"}'), 2)
    assert(Math.abs((of('cache_read_duration_seconds_sum{tier="redis"}') ?? 0) - 0.022) < 1e-9)
  })

  it('show no key, and a bounded number of keyspaces', async () => {
    for (let n = 0; n < 1500; n++) reads.read(told({ key: `film:secret-${n}`, keyspace: `made up ${n}` }))
    const now = await text()
    assert(!now.includes('secret'))
    const series = seriesOf(now, 'cache_keyspace_reads_total')
    assert(series.length <= 4 * 1001, `${series.length} series`)
    assertEquals(sampleOf(now, 'cache_keyspace_reads_total{keyspace="other",result="hit"}'), 500)
  })
})
