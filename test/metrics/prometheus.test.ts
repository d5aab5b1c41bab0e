import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import type { WarmerStatus } from '../../src/facade.ts'
import { createMetrics, type Metrics } from '../../src/metrics/prometheus.ts'
import type { StoreStats } from '../../src/store/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { batch, begin, end, idleStatus, sampleOf, seriesOf, wholeJob } from './support.ts'

const STATS: StoreStats = {
  version: '8.0.0',
  usedMemoryBytes: 1234,
  maxMemoryBytes: 5000,
  evictionPolicy: 'noeviction',
  evictedKeys: 0,
  keyspaceHits: 0,
  keyspaceMisses: 0,
}

describe('metrics', () => {
  let clock: FakeClock
  let events: EventLog
  let status: WarmerStatus
  let stats: () => Promise<StoreStats>
  let tasks: string[]
  let metrics: Metrics
  const errors: unknown[] = []
  const text = async () => (await clock.until(metrics.text())).text

  beforeEach(() => {
    clock = new FakeClock()
    errors.length = 0
    events = new EventLog({ clock, onError: (error) => errors.push(error) })
    status = idleStatus()
    stats = async () => STATS
    tasks = ['films', 'actors']
    metrics = createMetrics({ events, status: () => status, storeStats: () => stats(), tasks: () => tasks, clock })
  })
  afterEach(() => {
    metrics.close()
    assertEquals(errors, [])
  })

  it('counts a job, its batches and its keys', async () => {
    begin(events)
    batch(events, { written: 45, failed: 5 })
    batch(events, { skipped_present: 7, skipped_newer: 2, unknown: 1 }, { origin_requests: 3 })
    await clock.advance(1000)
    end(events, { written: 45, failed: 5, skipped_present: 7, skipped_newer: 2, unknown: 1 }, { status: 'partial' })
    const now = await text()
    const keys = (outcome: string) => sampleOf(now, `warming_keys_total{task="films",outcome="${outcome}"}`)
    assertEquals(['written', 'failed', 'skipped_present', 'skipped_newer', 'unknown'].map(keys), [45, 5, 7, 2, 1])
    assertEquals(sampleOf(now, 'warming_jobs_total{strategy="priority",status="partial"}'), 1)
    assertEquals([sampleOf(now, 'warming_success_total'), sampleOf(now, 'warming_failure_total')], [0, 1])
    assertEquals(sampleOf(now, 'warming_cache_writes_total'), 45)
    assertEquals(sampleOf(now, 'warming_origin_requests_total'), 4)
    assertEquals(sampleOf(now, 'warming_duration_seconds_sum'), 1.5)
    assertEquals(sampleOf(now, 'warming_batch_duration_seconds_count'), 2)
    assertEquals(sampleOf(now, 'warming_origin_duration_seconds_sum'), 0.06)
    assertEquals(sampleOf(now, 'cache_warmup_duration_seconds'), 1.5)
    assertEquals(sampleOf(now, 'cache_keys_warmed'), 54)
    assertEquals(sampleOf(now, 'cache_warmup_status'), 0.5)
    assertEquals(sampleOf(now, 'cache_warmup_last_success_timestamp_seconds'), 0)
  })

  it('notes when a warm-up last succeeded, by the clock; a cancelled or skipped one says nothing', async () => {
    assertEquals(sampleOf(await text(), 'cache_warmup_status'), -1)
    await clock.advance(5000)
    wholeJob(events, { written: 3 })
    const atSeconds = clock.nowMs() / 1000
    await clock.advance(5000)
    wholeJob(events, {}, 'skipped')
    wholeJob(events, { failed: 9 }, 'cancelled')
    const now = await text()
    assertEquals(sampleOf(now, 'cache_warmup_last_success_timestamp_seconds'), atSeconds)
    assertEquals([sampleOf(now, 'cache_warmup_status'), sampleOf(now, 'cache_keys_warmed')], [1, 3])
    // As the sums of the status count them: left to another job is no failure.
    assertEquals([sampleOf(now, 'warming_success_total'), sampleOf(now, 'warming_failure_total')], [2, 0])
    wholeJob(events, { failed: 9 }, 'failed')
    assertEquals(sampleOf(await text(), 'cache_warmup_status'), 0)
  })

  it('counts keys that no batch told of: of the only task, or else of other', async () => {
    begin(events)
    batch(events, { written: 10 })
    end(events, { written: 10, failed: 90 }, { status: 'partial' })
    begin(events, { job_id: 'two', tasks: ['films', 'actors'] })
    end(events, { failed: 8 }, { job_id: 'two', status: 'failed' })
    // A stream that began anew tells of more than the job counts.
    begin(events, { job_id: 'anew' })
    batch(events, { written: 6 }, { job_id: 'anew' })
    batch(events, { written: 6 }, { job_id: 'anew' })
    end(events, { written: 6 }, { job_id: 'anew' })
    const now = await text()
    assertEquals(sampleOf(now, 'warming_keys_total{task="films",outcome="failed"}'), 90)
    assertEquals(sampleOf(now, 'warming_keys_total{task="other",outcome="failed"}'), 8)
    assertEquals(sampleOf(now, 'warming_keys_total{task="films",outcome="written"}'), 22)
  })

  it('has every counter at 0 from the start, so that the first increment is seen', async () => {
    const now = await text()
    for (const series of [
      'warming_emergency_stops_total',
      'warming_rate_limit_hits_total',
      'warming_failure_total',
      'cache_misses_total',
      'warming_jobs_total{strategy="priority",status="failed"}',
      'warming_keys_total{task="actors",outcome="unknown"}',
      'cache_hits_total{tier="redis",filled_by="warm"}',
    ])
      assertEquals(sampleOf(now, series), 0, series)
    events.emit({ type: 'emergency_stop', by: 'hand', reason: 'deploy', p95_ms: null, threshold_ms: 2000 })
    assertEquals(sampleOf(await text(), 'warming_emergency_stops_total'), 1)
  })

  it('bounds every label, and shows no key', async () => {
    for (let n = 0; n < 50; n++) {
      begin(events, { job_id: `j${n}`, strategy: `s${n}` })
      batch(events, { written: 1 }, { job_id: `j${n}`, task: `made-up-${n}`, worker: `w${n}` })
      events.emit({
        type: 'key',
        key: `film:secret-${n}`,
        task: 'films',
        status: 'written',
        duration_ms: 1,
        job_id: `j${n}`,
        trace_id: 't',
      })
      end(events, { written: 1 }, { job_id: `j${n}`, strategy: `s${n}`, status: `x${n}` })
    }
    status = idleStatus({ queueDepth: new Map(Array.from({ length: 100 }, (_, n) => [n, 2])) })
    const now = await text()
    assertEquals(seriesOf(now, 'warming_keys_total').length, 3 * 5)
    assertEquals(sampleOf(now, 'warming_keys_total{task="other",outcome="written"}'), 50)
    assertEquals(sampleOf(now, 'warming_jobs_total{strategy="other",status="other"}'), 50)
    assertEquals(seriesOf(now, 'warming_jobs_total').length, 3 * 5 + 1)
    assertEquals(seriesOf(now, 'warming_queue_depth').length, 21)
    assertEquals(sampleOf(now, 'warming_queue_depth{priority="other"}'), 160)
    assert(!now.includes('secret-') && !now.includes('made-up-'))
    status = idleStatus({ queueDepth: new Map([[500, 1]]) })
    const later = await text()
    assertEquals(seriesOf(later, 'warming_queue_depth').length, 21)
    assertEquals(sampleOf(later, 'warming_queue_depth{priority="3"}'), 0)
    assertEquals(sampleOf(later, 'warming_queue_depth{priority="other"}'), 1)
  })

  it('shows the warmer’s status as it is at the scrape', async () => {
    const worker = (state: 'idle' | 'busy') => ({ id: '1', state, currentKey: 'k', startedAt: null })
    const { totals } = status
    status = idleStatus({
      activeJobs: 2,
      workers: [worker('busy'), worker('busy'), worker('idle')],
      emergency: { state: 'stopped', by: 'hand', reason: 'r', since: 's' },
      totals: { ...totals, rateLimitHits: 12 },
    })
    const now = await text()
    const workers = (state: string) => sampleOf(now, `warming_workers{state="${state}"}`)
    assertEquals(['starting', 'idle', 'busy'].map(workers), [0, 1, 2])
    assertEquals([sampleOf(now, 'warming_active_jobs'), sampleOf(now, 'warming_emergency_active')], [2, 1])
    assertEquals(sampleOf(now, 'warming_rate_limit_hits_total'), 12)
    status = idleStatus({ emergency: { state: 'probing', since: 's' }, totals: { ...totals, rateLimitHits: 15 } })
    const later = await text()
    assertEquals(sampleOf(later, 'warming_emergency_active'), 0.5)
    assertEquals(sampleOf(later, 'warming_rate_limit_hits_total'), 15)
  })

  it('answers without Redis’ memory while Redis is away or silent, and has it again after', async () => {
    assertEquals(sampleOf(await text(), 'redis_memory_usage_bytes'), 1234)
    assertEquals(sampleOf(await text(), 'redis_memory_max_bytes'), 5000)
    stats = () => Promise.reject(new Error('away'))
    assertEquals(seriesOf(await text(), 'redis_memory_usage_bytes'), [])
    let asked = 0
    let answer = (_: StoreStats) => {}
    stats = () => {
      asked++
      return new Promise((resolve) => {
        answer = resolve
      })
    }
    const beganMs = clock.nowMs()
    assertEquals(seriesOf(await text(), 'redis_memory_usage_bytes'), [])
    assert(clock.nowMs() - beganMs <= 1000)
    assertEquals(seriesOf(await text(), 'redis_memory_max_bytes'), [])
    assertEquals(asked, 1)
    answer(STATS)
    await clock.advance(0)
    stats = () => {
      throw new Error('at once')
    }
    assertEquals(seriesOf(await text(), 'redis_memory_usage_bytes'), [])
    stats = async () => STATS
    assertEquals(sampleOf(await text(), 'redis_memory_usage_bytes'), 1234)
    stats = () => new Promise(() => {}) // never
    assertEquals(seriesOf(await text(), 'redis_memory_usage_bytes'), [])
    stats = async () => STATS
    assertEquals(seriesOf(await text(), 'redis_memory_usage_bytes'), [])
    await clock.advance(60_000)
    assertEquals(sampleOf(await text(), 'redis_memory_usage_bytes'), 1234)
    assertEquals(clock.pending, 0)
  })

  it('answers with the rest when the status can’t be told', async () => {
    const broken = createMetrics({
      events,
      status: () => {
        throw new Error('stopped')
      },
      tasks: () => tasks,
      clock,
    })
    const { text: now, contentType } = await broken.text()
    broken.close()
    assertStringIncludes(contentType, 'text/plain; version=0.0.4')
    assertEquals(sampleOf(now, 'warming_emergency_stops_total'), 0)
    assertEquals(sampleOf(now, 'prewarm_build_info{version="0.1.0"}'), 1)
  })

  it('counts reads by tier and by what had filled it', async () => {
    metrics.recordRead({ tier: 'memory', filledBy: 'read' })
    metrics.recordRead({ tier: 'redis', filledBy: 'warm' })
    metrics.recordRead({ tier: 'redis', filledBy: 'warm' })
    metrics.recordRead({ tier: 'origin', filledBy: 'unknown' })
    const now = await text()
    assertEquals(sampleOf(now, 'cache_hits_total{tier="redis",filled_by="warm"}'), 2)
    assertEquals(sampleOf(now, 'cache_hits_total{tier="memory",filled_by="read"}'), 1)
    assertEquals(sampleOf(now, 'cache_misses_total'), 1)
    assertEquals(metrics.reads, { hits: 3, misses: 1 })
  })

  it('does not mix two warmers of one process, and counts nothing once closed', async () => {
    const other = createMetrics({ events: new EventLog({ clock }), status: () => status, tasks: () => tasks, clock })
    wholeJob(events, { written: 1 })
    metrics.close()
    metrics.close()
    wholeJob(events, { written: 1 })
    assertEquals(sampleOf(await text(), 'warming_success_total'), 1)
    assertEquals(sampleOf((await other.text()).text, 'warming_success_total'), 0)
    other.close()
  })

  it('tells of the process', async () => {
    const now = await text()
    assert((sampleOf(now, 'process_cpu_seconds_total') ?? 0) > 0)
    assert((sampleOf(now, 'process_resident_memory_bytes') ?? 0) > 1_000_000)
    assert((sampleOf(now, 'process_start_time_seconds') ?? 0) <= clock.nowMs() / 1000)
  })
})
