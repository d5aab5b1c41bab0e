import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { ReadCounters } from '../../src/gain/read-counters.ts'
import { READ_BUCKETS, ReadLatency } from '../../src/gain/read-latency.ts'
import { told } from './support.ts'

describe('ReadCounters', () => {
  it('counts by keyspace, tier and what had filled the entry', () => {
    const counters = new ReadCounters()
    counters.read(told())
    counters.read(told({ tier: 'memory' }))
    counters.read(told({ tier: 'memory', status: 'stale', filledBy: 'read' }))
    counters.read(told({ tier: 'origin', status: 'miss', filledBy: 'read' }))
    counters.read(told({ keyspace: null, filledBy: 'unknown' }))
    counters.error({ keyspace: 'films', tier: 'redis' })
    counters.error({ keyspace: null, tier: 'origin' })
    counters.invalidated(3)
    counters.invalidated(0)
    assertEquals(counters.totals(), { hits: 4, misses: 1, stale: 1, errors: 2, invalidations: 3, warmHits: 2 })
    const films = counters.keyspaces.get('films')
    assertEquals(films?.hits, { memory: { warm: 1, read: 1, unknown: 0 }, redis: { warm: 1, read: 0, unknown: 0 } })
    assertEquals(
      [films?.misses, films?.stale, films?.errors],
      [1, { memory: 1, redis: 0 }, { memory: 0, redis: 1, origin: 0 }],
    )
    assertEquals(counters.keyspaces.get('other')?.hits.redis.unknown, 1)
  })

  it('counts what a program tells, that may say anything', () => {
    const counters = new ReadCounters()
    counters.told({ tier: 'redis', filledBy: 'warm' })
    counters.told({ tier: 'origin', filledBy: 'unknown' })
    counters.told({ tier: 'memory', filledBy: 'constructor' as 'warm' })
    assertEquals(counters.totals(), { hits: 2, misses: 1, stale: 0, errors: 0, invalidations: 0, warmHits: 1 })
    assertEquals(counters.flat().get('observed:'), 0)
  })

  it('keeps a bounded number of keyspaces, and counts the rest together', () => {
    const counters = new ReadCounters()
    for (let at = 0; at < 3000; at++) counters.read(told({ keyspace: `k:${at}` }))
    assert(counters.keyspaces.size <= 1001)
    assertEquals(counters.totals().hits, 3000)
    assertEquals(counters.keyspaces.get('other')?.hits.redis.warm, 2000)
  })

  it('adds up by figure and keyspace', () => {
    const counters = new ReadCounters()
    counters.read(told({ status: 'stale' }))
    counters.error({ keyspace: 'films', tier: 'origin' })
    counters.invalidated(2)
    assertEquals(Object.fromEntries(counters.flat()), {
      'memory:films': 0,
      'redis:films': 1,
      'misses:films': 0,
      'stale:films': 1,
      'errors:films': 1,
      'warm:films': 1,
      'invalidations:': 2,
      'observed:': 1,
    })
  })

  it('tells how long reads took, by tier', () => {
    const counters = new ReadCounters()
    assertEquals(counters.latencies(), { memory: null, redis: null, origin: null })
    for (let at = 1; at <= 100; at++) counters.read(told({ tier: 'memory', durationNs: at * 100 }))
    const { memory, redis } = counters.latencies()
    const near = (value: number | undefined, expected: number) =>
      assert(Math.abs((value ?? 0) / expected - 1) < 0.02, `${value}, expected ${expected}`)
    near(memory?.p50, 5000)
    near(memory?.p95, 9500)
    near(memory?.p99, 9900)
    assertEquals(redis, null)
  })
})

describe('ReadLatency', () => {
  it('counts by Prometheus’ buckets, whose ends belong to them', () => {
    const latency = new ReadLatency()
    for (const ns of [0, Number.NaN, 1000, 1001, 10_000_000, 6e9, 1e18]) latency.record(ns)
    const counts = new Map(latency.cumulative().map((count, at) => [READ_BUCKETS[at], count]))
    assertEquals([counts.get(0.000001), counts.get(0.000005), counts.get(0.01), counts.get(5)], [3, 4, 5, 5])
    assertEquals(latency.count, 7)
    assert(latency.sumSeconds > 3600)
  })
})
