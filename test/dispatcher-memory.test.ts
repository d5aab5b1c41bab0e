import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { MemoryGate } from '../src/job/memory-gate.ts'
import type { TaskPlan } from '../src/job/plan.ts'
import type { Demand } from '../src/predict/demand.ts'
import { NO_DEMAND } from '../src/predict/demand.ts'
import { FakeClock, turn } from './fakes/clock.ts'
import { type DeskOptions, desk } from './fakes/dispatcher.ts'
import { MemoryStore } from './fakes/store.ts'
import { keys } from './fakes/tasks.ts'
import { keysOf, reportOf } from './fakes/worker.ts'
import { checkAsync } from './support/property.ts'

const FULL = { usedMemoryBytes: 1_000_000, maxMemoryBytes: 1_000_000, evictionPolicy: 'allkeys-lru', evictedKeys: 0 }
const EMPTY = { ...FULL, usedMemoryBytes: 0 }
const stream: TaskPlan = { kind: 'stream', limit: null, guess: 500 }
const range = { from: null, to: null, limit: null }
const ranges: TaskPlan = { kind: 'ranges', ranges: keys(5).map(() => ({ range, rows: 10 })), total: 50 }

/** A dispatcher with a guard, beside a Redis in memory. */
async function guardedDesk(memory = FULL, options: DeskOptions = {}, demand: Demand = NO_DEMAND) {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  store.memory = { ...memory }
  const settings = { guard: true, reserve: 0 }
  const gate = new MemoryGate({ store, demand: async () => demand, clock, settings: () => settings })
  return { desk: await desk({ ...options, clock, memory: gate }), store, settings }
}

const settled = async () => {
  for (let at = 0; at < 20; at++) await turn()
}

const hang = () => new Promise<never>(() => {})

describe('Dispatcher, memory', () => {
  it('dispatcher sends nothing before Redis has told of its memory, then goes on', async () => {
    const { desk: one, store } = await guardedDesk({ ...FULL, maxMemoryBytes: 0 })
    const { promise, resolve } = Promise.withResolvers<void>()
    store.onStats = () => promise
    one.add('a', 20)
    assertEquals(await one.sent(), [])
    resolve()
    await settled()
    assertEquals(await one.sent(), ['a', 'a'])
  })

  it('dispatcher can stop a lane, and halt, while Redis is asked; an answer that comes later does no harm', async () => {
    const { desk: one, store } = await guardedDesk()
    const { promise, resolve } = Promise.withResolvers<void>()
    store.onStats = () => promise
    const lane = one.add('a', 20)
    await settled()
    assertEquals(await one.clock.until(one.dispatcher.halt(1000)), { halted: 0, settled: true })
    one.dispatcher.stop(lane, { code: 'JOB_CANCELLED', message: 'stop' })
    assertEquals([lane.isEnded, lane.tally.keys.failed, one.changes.a], [true, 20, 1])
    resolve()
    one.dispatcher.resume()
    await settled()
    assertEquals([await one.sent(), lane.leftOut, one.dispatcher.queued], [[], 0, 0])
  })

  it('dispatcher does not wait for a Redis that does not answer for longer than 2 s', async () => {
    const { desk: one, store } = await guardedDesk()
    store.onStats = hang
    one.add('a', 20)
    await one.clock.advance(1999)
    assertEquals(await one.sent(), [])
    await one.clock.advance(1)
    assertEquals(await one.sent(), ['a'])
  })

  it('dispatcher leaves out what a full Redis does not hold, and writes again what it holds', async () => {
    const { desk: one, store } = await guardedDesk(FULL, { batch: (batch, worker) => worker.done(batch) })
    for (const key of ['k:3', 'k:40']) store.fill(key, 'there', 60_000)
    const lane = one.add('a', 50)
    await settled()
    const sent = one.worker.batches.map(({ work }) => (work.kind === 'keys' ? work.keys : []))
    assertEquals(sent, [['k:3', 'k:40']])
    assertEquals([lane.isEnded, lane.leftOut, lane.tally.keys.planned, one.dispatcher.queued], [true, 48, 2, 0])
  })

  it('dispatcher writes again what Redis holds only while that fits, where nothing is dropped for it', async () => {
    for (const [usedMemoryBytes, written] of [
      [960_000, 50],
      [1_000_000, 0],
    ] as const) {
      const memory = { ...FULL, usedMemoryBytes, evictionPolicy: 'noeviction' }
      const {
        desk: one,
        store,
        settings,
      } = await guardedDesk(memory, {
        batch: (batch, worker) => worker.done(batch, { ...reportOf(keysOf(batch)), bytesPerKey: 10 }),
      })
      settings.reserve = 0.05
      for (const key of keys(50)) store.fill(key, 'there', 60_000)
      const lane = one.add('a', 50)
      await settled()
      assertEquals([lane.isEnded, lane.tally.keys.written, lane.leftOut], [true, written, 50 - written])
      assertEquals(one.dispatcher.queued, 0)
    }
  })

  it('dispatcher ends a lane, and tells of it, of which everything is left out', async () => {
    const { desk: one } = await guardedDesk()
    const lane = one.add('a', 50)
    await settled()
    assertEquals([lane.isEnded, lane.leftOut, await one.sent()], [true, 50, []])
    assert((one.changes.a ?? 0) > 0)
    assertEquals(lane.tally.status(0, null, lane.leftOut > 0), 'partial')
  })

  it('dispatcher lets keys go that are hotter than what Redis would drop for them', async () => {
    const readsPerHour = (key: string) => (Number(key.slice(2)) <= 15 ? 10 : 1)
    const demand = { readsPerHour, meanReadsPerHour: 1, keys: new Map([['k:1', 10]]) }
    const { desk: one, store } = await guardedDesk(FULL, { batch: (batch, worker) => worker.done(batch) }, demand)
    for (let at = 0; at < 100; at++) store.fill(`idle:${at}`, 'there', 9_000_000)
    // Idle for an hour: keys that are read twice an hour, or more often, are hotter.
    one.clock.tick(3_600_000)
    const lane = one.add('a', 30)
    await settled()
    assertEquals([lane.isEnded, lane.tally.keys.written, lane.leftOut], [true, 15, 15])
  })

  it('dispatcher waits no longer than a second to hear how often keys are read', async () => {
    const clock = new FakeClock()
    const store = new MemoryStore(clock)
    store.memory = { ...FULL }
    store.fill('k:3', 'there', 60_000)
    const settings = () => ({ guard: true, reserve: 0 })
    const memory = new MemoryGate({ store, demand: hang, clock, settings })
    const one = await desk({ clock, memory, batch: (batch, worker) => worker.done(batch) })
    const lane = one.add('a', 30)
    await clock.advance(1000)
    assertEquals([lane.isEnded, lane.tally.keys.written, lane.leftOut], [true, 1, 29])
  })

  it('dispatcher tries one batch of a query in a full Redis, and leaves out the rest if it brings nothing that is there', async () => {
    const leave =
      (present: number): DeskOptions['batch'] =>
      (batch, worker) =>
        worker.done(batch, { ...reportOf(present), leftOut: 10 - present, done: false })
    const { desk: one } = await guardedDesk(FULL, { slots: 5, batch: leave(0) })
    const lane = one.add('a', 0, { plan: ranges })
    await settled()
    assertEquals(
      one.worker.batches.map(({ onlyPresent }) => onlyPresent),
      [true],
    )
    assertEquals([lane.isEnded, lane.leftOut, lane.tally.keys.planned], [true, 50, 0])
    const other = await guardedDesk(FULL, { slots: 5, batch: leave(4) })
    const held = other.desk.add('a', 0, { plan: ranges })
    await settled()
    assertEquals([held.isEnded, held.leftOut, held.tally.keys.written], [true, 30, 20])
  })

  it('dispatcher closes a stream whose rest it leaves out', async () => {
    const none: DeskOptions['batch'] = (batch, worker) =>
      worker.done(batch, { ...reportOf(0), leftOut: 10, done: false })
    const { desk: one } = await guardedDesk(FULL, { batch: none })
    const lane = one.add('a', 0, { plan: stream })
    await settled()
    assertEquals([lane.isEnded, lane.isCut, lane.leftOut], [true, true, 500])
    assertEquals(one.worker.received.filter(({ type }) => type === 'closeStream').length, 1)
  })

  it('dispatcher closes a stream that there is no more room for between two of its pages', async () => {
    const memory = { ...EMPTY, evictionPolicy: 'noeviction' }
    const page: DeskOptions['batch'] = (batch, worker) => worker.done(batch, { done: false, bytesPerKey: 10 })
    const { desk: one, store } = await guardedDesk(memory, { batch: page })
    const lane = one.add('a', 0, { plan: stream, batchDelayMs: 3000 })
    await one.clock.advance(1000)
    assertEquals(await one.sent(), ['a'])
    store.memory.usedMemoryBytes = 1_000_000
    await one.clock.advance(10_000)
    assertEquals([lane.isEnded, lane.isCut, one.dispatcher.queued], [true, true, 0])
    assertEquals(one.worker.received.filter(({ type }) => type === 'closeStream').length, 1)
  })

  it('dispatcher closes a stream of which a page could not be looked at', async () => {
    const failure = { code: 'STORE_UNREACHABLE', message: 'away' } as const
    const { desk: one } = await guardedDesk(FULL, {
      batch: ({ id }, worker) => worker.say({ type: 'failed', id, failure, retryable: false }),
    })
    const lane = one.add('a', 0, { plan: stream })
    await settled()
    assertEquals([lane.isEnded, lane.tally.isBroken], [true, true])
    assertEquals(one.worker.received.filter(({ type }) => type === 'closeStream').length, 1)
  })

  it('dispatcher sends nothing of a lane while its keys are looked at, even if the guard is turned off then', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { desk: one, store, settings } = await guardedDesk(FULL, { batch: (batch, worker) => worker.done(batch) })
    const ttlsMs = store.ttlsMs.bind(store)
    store.ttlsMs = async (some) => promise.then(() => ttlsMs(some))
    for (const key of keys(20)) store.fill(key, 'there', 60_000)
    const lane = one.add('a', 20)
    await settled()
    settings.guard = false
    one.dispatcher.wake()
    assertEquals(await one.sent(), [])
    resolve()
    await settled()
    assertEquals([lane.isEnded, lane.leftOut, lane.tally.keys.written], [true, 0, 20])
  })

  it('dispatcher sends few keys of a task whose size nobody knows, then as much as there is room for', async () => {
    const { desk: one } = await guardedDesk(EMPTY, {
      slots: 5,
      batch: (batch, worker) => worker.done(batch, { ...reportOf(keysOf(batch)), bytesPerKey: 1000 }),
    })
    const lane = one.add('a', 3000, { batchSize: 100 })
    await settled()
    assertEquals(one.worker.batches.slice(0, 2).map(keysOf), [50, 100])
    assertEquals([lane.isEnded, lane.tally.keys.written], [true, 3000])
  })

  it('dispatcher looks at nothing with the guard off', async () => {
    const { desk: one, settings, store } = await guardedDesk()
    settings.guard = false
    store.onStats = hang
    one.add('a', 20)
    assertEquals(await one.sent(), ['a', 'a'])
  })

  it('every key is written, failed or left out once, whatever the memory does', async () => {
    const step = fc.record({ used: fc.nat(1_200_000), evicted: fc.nat(2), fails: fc.boolean() })
    const property = fc.asyncProperty(fc.nat(300), fc.array(step, { maxLength: 12 }), async (count, steps) => {
      let at = 0
      const batch: DeskOptions['batch'] = (one, worker) => {
        if (steps[at++ % (steps.length || 1)]?.fails) {
          worker.say({ type: 'failed', id: one.id, failure: { code: 'ORIGIN_FAILED', message: 'no' }, retryable: true })
        } else worker.done(one, { ...reportOf(keysOf(one)), bytesPerKey: 3000 })
      }
      const { desk: one, store } = await guardedDesk(EMPTY, { batch, takesMs: 50 })
      let asked = 0
      store.onStats = () => {
        const now = steps[asked++ % (steps.length || 1)]
        store.memory = { ...FULL, usedMemoryBytes: now?.used ?? 0, evictedKeys: now?.evicted ?? 0 }
      }
      for (const key of keys(40)) store.fill(key, 'there', 10_000_000)
      const lanes = [one.add('a', count), one.add('b', count, { priority: 1 })]
      await one.clock.advance(120_000)
      for (const lane of lanes) {
        assert(lane.isEnded, 'it did not end')
        assertEquals(lane.tally.keys.planned + lane.leftOut, count)
      }
      assertEquals(one.dispatcher.queued, 0)
    })
    await checkAsync(property, 40)
  })
})
