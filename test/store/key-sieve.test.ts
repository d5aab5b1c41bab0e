import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { KeySieve, type Pressure } from '../../src/store/key-sieve.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryStore } from '../fakes/store.ts'
import { keys } from '../fakes/tasks.ts'

/** 100 keys under `policy`, read last an hour ago, or never; and demand for every key that is asked about. */
function sieve(policy = 'allkeys-lru', readsPerHour: (key: string) => number = () => 100) {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  for (let at = 0; at < 100; at++) store.fill(`idle:${at}`, 'there', 90_000_000)
  if (policy.endsWith('lfu')) store.counters = new Map(store.keys.map((key) => [key, 0]))
  clock.tick(3_600_000)
  const demand = async () => ({ readsPerHour, meanReadsPerHour: 1, keys: new Map() })
  const under = new KeySieve({ store, demand, clock })
  const state = { usedMemoryBytes: 10_000, maxMemoryBytes: 10_000, evictionPolicy: policy, evictedKeys: 0 }
  const sift = async (count: number, more: Partial<Pressure> = {}) => {
    const of = { state, activeMs: 0, bytesPerKey: 100, pendingBytes: 0, ...more }
    const sifted = await under.sift(keys(count), of)
    return [sifted.count, sifted.stays.size]
  }
  return { clock, store, sift }
}

describe('KeySieve', () => {
  it('sieve keeps what is there, whatever the policy', async () => {
    for (const policy of ['noeviction', 'allkeys-random', 'allkeys-lru']) {
      const { store, sift } = sieve(policy, () => 0)
      for (const key of ['k:4', 'k:250']) store.fill(key, 'there', 60_000)
      assertEquals(await sift(300), [300, 2])
    }
  })

  it('sieve lets through keys that are hotter than what goes, for a tenth of the memory; the rest is looked at anew', async () => {
    const { sift } = sieve()
    assertEquals(await sift(7), [7, 7])
    assertEquals(await sift(30), [10, 10])
    assertEquals(await sift(30, { pendingBytes: 700 }), [3, 3])
    assertEquals(await sift(30, { pendingBytes: 1000 }), [0, 0])
  })

  it('sieve lets nothing through that is as cold, of which nobody knows, or that is larger than what may go', async () => {
    assertEquals(await sieve('allkeys-lru', () => 1.9).sift(30), [30, 0])
    assertEquals(await sieve('allkeys-lru', () => 0).sift(30), [30, 0])
    assertEquals(await sieve().sift(30, { bytesPerKey: 1001 }), [30, 0])
    assertEquals(await sieve('allkeys-random').sift(30), [30, 0])
    assertEquals(await sieve().sift(30, { activeMs: 3_600_000 }), [30, 0])
  })

  it('sieve lets no more through in five minutes under LFU than was cold at their beginning', async () => {
    const { sift, clock } = sieve('allkeys-lfu')
    // Seven tenths of what Redis holds, a tenth at once.
    for (let at = 0; at < 7; at++) assertEquals(await sift(30), [10, 10])
    assertEquals(await sift(30), [30, 0])
    clock.tick(299_999)
    assertEquals(await sift(30), [30, 0])
    clock.tick(1)
    assertEquals(await sift(30), [10, 10])
  })

  it('sieve takes nobody for colder where Redis does not tell', async () => {
    const { sift, store } = sieve()
    store.heatOf = () => Promise.reject(new Error('NOPERM'))
    assertEquals(await sift(30), [30, 0])
  })
})
