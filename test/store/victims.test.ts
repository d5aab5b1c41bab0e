import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { KeyHeat } from '../../src/store/types.ts'
import { victimsOf } from '../../src/store/victims.ts'

const NOBODY = Number.POSITIVE_INFINITY
const HOUR_MS = 3_600_000

const idle = (count: number, idleMs: number, expiresAtMs: number | null = null): KeyHeat[] =>
  Array.from({ length: count }, () => ({ counter: null, idleMs, expiresAtMs }))
const counted = (count: number, counter: number): KeyHeat[] =>
  Array.from({ length: count }, () => ({ counter, idleMs: null, expiresAtMs: null }))

const lru = (sample: KeyHeat[], activeMs = 0, evictionPolicy = 'allkeys-lru') =>
  victimsOf(sample, { evictionPolicy, usedMemoryBytes: 1000, activeMs })
const lfu = (sample: KeyHeat[]) =>
  victimsOf(sample, { evictionPolicy: 'allkeys-lfu', usedMemoryBytes: 1000, activeMs: 0 })

describe('victimsOf', () => {
  it('victims under LRU are idle for twice as long as a key that is as hot waits for a read', () => {
    const { readsPerHour, bytes, totalBytes } = lru([...idle(40, HOUR_MS), ...idle(60, 0)])
    assertEquals([readsPerHour, bytes, totalBytes], [2, 100, NOBODY])
    assertEquals(lru([...idle(40, 10_000), ...idle(60, 0)]).readsPerHour, 720)
  })

  it('victims are none unless four of ten keys are cold', () => {
    assertEquals(lru([...idle(39, HOUR_MS), ...idle(61, 0)]).readsPerHour, NOBODY)
    assertEquals(lfu([...counted(39, 0), ...counted(61, 6)]).readsPerHour, NOBODY)
    assertEquals(lfu([...counted(39, 0), ...counted(61, 6)]).bytes, 0)
  })

  it('victims under LRU are none that may have been warmed just now', () => {
    const sample = idle(100, 60_000)
    assertEquals(lru(sample, 60_000).readsPerHour, NOBODY)
    assertEquals(lru(sample, 59_999).readsPerHour, 120)
  })

  it('keys that are all read equally often, by chance, are no victims of another such key', () => {
    // Idle times of a Poisson stream of 60 reads an hour: the quantiles of an exponential distribution.
    const sample = Array.from({ length: 100 }, (_, at) => -Math.log((at + 0.5) / 100) * 60_000)
    const { readsPerHour } = lru(sample.flatMap((idleMs) => idle(1, Math.floor(idleMs / 1000) * 1000)))
    assert(readsPerHour > 120, `${readsPerHour}`)
  })

  it('victims under LFU are read as seldom as a counter says that falls by one a minute', () => {
    assertEquals(lfu(counted(100, 0)).readsPerHour, 12)
    for (const [counter, perMinute] of [
      [1, 0.586],
      [3, 0.838],
      [5, 0.901],
    ] as const)
      assertEquals(Math.round((lfu(counted(100, counter)).readsPerHour / 60) * 1000) / 1000, perMinute)
    assertEquals(lfu(counted(100, 6)).readsPerHour, NOBODY)
  })

  it('victims under LFU are no more altogether than were cold, less what is left in any case', () => {
    assertEquals(lfu([...counted(50, 0), ...counted(50, 100)]).totalBytes, 200)
    assertEquals(lfu([...counted(40, 0), ...counted(30, 5), ...counted(30, 100)]).totalBytes, 400)
  })

  it('victims under volatile policies are among keys with a TTL', () => {
    const sample = [...idle(50, HOUR_MS), ...idle(50, 0, 1)]
    assertEquals(lru(sample, 0, 'volatile-lru').readsPerHour, NOBODY)
    const { readsPerHour, bytes } = lru([...idle(50, 0), ...idle(50, HOUR_MS, 1)], 0, 'volatile-lru')
    assertEquals([readsPerHour, bytes], [2, 50])
  })

  it('victims are unknown where the policy does not go by reads, or few keys were seen', () => {
    for (const policy of ['allkeys-random', 'volatile-ttl', 'noeviction', 'allkeys-lrm'])
      assertEquals(lru(idle(100, HOUR_MS), 0, policy).readsPerHour, NOBODY)
    assertEquals(lru(idle(19, HOUR_MS)).readsPerHour, NOBODY)
    assertEquals(lru(counted(100, 0)).readsPerHour, NOBODY)
  })
})
