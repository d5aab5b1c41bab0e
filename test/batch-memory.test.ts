import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { type BatchOptions, runBatch } from '../src/batch.ts'
import { redisBytes } from '../src/inspect/memory.ts'
import { FakeClock } from './fakes/clock.ts'
import { FakeOrigin } from './fakes/origin.ts'
import { MemoryStore } from './fakes/store.ts'
import { keys, loadTask } from './fakes/tasks.ts'

function run(count: number, store: MemoryStore, clock: FakeClock, more: Partial<BatchOptions> = {}) {
  const task = loadTask()
  const options: BatchOptions = {
    params: {},
    timeoutMs: 1000,
    requestIntervalMs: 0,
    traceId: '1'.repeat(32),
    storeTimeoutMs: 5000,
    backoffBaseMs: 100,
    ttlMs: task.ttlMs,
    retries: task.retries,
    keyEvents: 0,
    signal: new AbortController().signal,
    ...more,
  }
  const edges = { origin: new FakeOrigin(), store, clock, random: () => 1 }
  return clock.until(runBatch(task, { kind: 'keys', keys: keys(count) }, options, edges))
}

describe('runBatch, memory', () => {
  it('runBatch writes only what the store holds where only that is wanted, and tells how many it left out', async () => {
    const clock = new FakeClock()
    const store = new MemoryStore(clock)
    for (const key of ['k:2', 'k:5']) store.fill(key, 'old', 60_000)
    const report = await run(6, store, clock, { onlyPresent: true })
    assertEquals([report.keys.planned, report.keys.written, report.leftOut], [2, 2, 4])
    assertEquals(store.keys.sort(), ['k:2', 'k:5'])
    const none = await run(6, new MemoryStore(clock), clock, { onlyPresent: true })
    assertEquals([none.keys.planned, none.leftOut], [0, 6])
    assertEquals('leftOut' in (await run(6, store, clock)), false)
  })

  it('runBatch does not count as time of the origin how long it looks at what the store holds', async () => {
    const clock = new FakeClock()
    const store = new MemoryStore(clock)
    store.fill('k:2', 'old', 60_000)
    const ttlsMs = store.ttlsMs.bind(store)
    store.ttlsMs = (some) => {
      clock.tick(700)
      return ttlsMs(some)
    }
    const { readNs, writeNs } = await run(6, store, clock, { onlyPresent: true })
    assertEquals([readNs, writeNs], [0, 700e6])
  })

  it('runBatch tells what a key takes in Redis, the mean of some of all parts of the batch', async () => {
    const clock = new FakeClock()
    for (const count of [1, 16, 17, 100]) {
      const store = new MemoryStore(clock)
      const { bytesPerKey } = await run(count, store, clock)
      const [held] = await store.read(['k:1'])
      assert(held?.type === 'string')
      const bytes = redisBytes('k:1', { type: 'string', value: held.value })
      assert(Math.abs((bytesPerKey as number) - bytes) <= 16, `${bytesPerKey} beside ${bytes}`)
    }
    assertEquals('bytesPerKey' in (await run(0, new MemoryStore(clock), clock)), false)
  })
})
