import type { TaskFacts } from '../../src/optimize/types.ts'

export const MINUTE = 60_000
export const HOUR = 3_600_000

/** 200 keys that are read once a minute each, live five minutes, are warmed every hour and cost little. */
export function factsOf(over: Partial<TaskFacts> = {}): TaskFacts {
  const readsPerHour = over.readsPerHour ?? Array.from({ length: 200 }, () => 60)
  return {
    task: 'films',
    schedule: 'hourly',
    gapsMs: [HOUR],
    jitterMs: 0,
    ttlMs: 5 * MINUTE,
    ttlJitter: 0.1,
    fillTtlMs: over.ttlMs ?? 5 * MINUTE,
    renews: true,
    limit: null,
    takesLimit: () => true,
    warmed: readsPerHour.length,
    isAssumed: false,
    requestsPerKey: 1 / 50,
    loadMsPerKey: null,
    priority: 0,
    declaredPriority: 0,
    critical: false,
    reads: Math.round(readsPerHour.reduce((sum, reads) => sum + reads, 0)),
    isPartial: false,
    seen: null,
    ...over,
    readsPerHour,
  }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}
