import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Failure } from '../src/errors.ts'
import { turn } from './fakes/clock.ts'
import { desk, traceId } from './fakes/dispatcher.ts'
import { httpTask } from './fakes/tasks.ts'

const cancelled: Failure = { code: 'JOB_CANCELLED', message: 'stop' }

describe('Dispatcher', () => {
  it('dispatcher sends the warmest lane first, whichever came first, and interleaves equals', async () => {
    const one = await desk({ slots: 1 })
    one.add('cold', 20)
    one.add('hot', 20, { priority: 100 })
    one.add('warm', 20, { priority: 50 })
    one.add('equal', 20, { priority: 50 })
    for (const task of ['hot', 'hot', 'warm', 'equal', 'warm', 'equal', 'cold', 'cold']) await one.finish(task)
    assertEquals(
      one.lanes.map(({ isEnded }) => isEnded),
      [true, true, true, true],
    )
    assertEquals(one.dispatcher.queued, 0)
  })

  it('dispatcher lets a lane that comes later overtake what is still queued', async () => {
    const one = await desk({ slots: 1 })
    one.add('cold', 30)
    await one.finish('cold')
    one.add('hot', 10, { priority: 1 })
    await one.finish('cold')
    await one.finish('hot')
    await one.finish('cold')
  })

  it('dispatcher sends no more at once than the worker has slots, nor than the origin bears', async () => {
    for (const [slots, maxConcurrent, most] of [
      [3, 100, 3],
      [10, 2, 2],
    ] as const) {
      const one = await desk({ slots, maxConcurrent })
      one.add('a', 100)
      assertEquals((await one.sent()).length, most)
      await one.finish('a')
      assertEquals((await one.sent()).length, most + 1)
    }
  })

  it('dispatcher lets nobody overtake a lane that waits for the shared rate', async () => {
    const one = await desk({ slots: 10, maxRps: 100 })
    one.add('first', 8, { task: httpTask(), priority: 200 })
    await one.sent()
    one.add('dear', 10, { task: httpTask(), priority: 100 })
    one.add('cheap', 10)
    assertEquals(await one.sent(), ['first'])
    await one.clock.advance(79)
    assertEquals(await one.sent(), ['first'])
    await one.clock.advance(2)
    assertEquals(await one.sent(), ['first', 'dear'])
    await one.clock.advance(20)
    assertEquals(await one.sent(), ['first', 'dear', 'cheap'])
  })

  it('dispatcher keeps to the rate over many lanes', async () => {
    const one = await desk({ slots: 1000, maxRps: 10, maxConcurrent: 1000 })
    for (const name of ['a', 'b', 'c']) one.add(name, 1000)
    await one.clock.advance(2000)
    const { length } = await one.sent()
    assert(length >= 20 && length <= 21, `${length}`)
  })

  it('dispatcher lets others go while one lane rests between its batches', async () => {
    const one = await desk({ slots: 10 })
    one.add('resting', 30, { priority: 1, batchDelayMs: 100 })
    one.add('other', 20)
    assertEquals(await one.sent(), ['resting', 'other', 'other'])
    await one.clock.advance(99)
    assertEquals((await one.sent()).length, 3)
    await one.clock.advance(1)
    assertEquals((await one.sent()).slice(3), ['resting'])
    await one.clock.advance(100)
    assertEquals((await one.sent()).slice(3), ['resting', 'resting'])
    assertEquals(one.lanes[0]?.waitMs, null)
  })

  it('stop sends nothing more of the lane, tells its workers, and leaves other lanes alone', async () => {
    const one = await desk({ slots: 2 })
    const lane = one.add('stopped', 50, { priority: 1 })
    one.add('other', 20)
    assertEquals(await one.sent(), ['stopped', 'stopped'])
    one.dispatcher.stop(lane, cancelled)
    await turn()
    const told = one.worker.received.flatMap((message) => (message.type === 'cancel' ? [message.id] : []))
    assertEquals(
      told,
      one.worker.batches.map(({ id }) => id),
    )
    assertEquals(lane.isEnded, false)
    for (const task of ['stopped', 'stopped', 'other', 'other']) await one.finish(task)
    assertEquals(await one.sent(), ['stopped', 'stopped', 'other', 'other'])
    assertEquals([lane.isEnded, lane.tally.keys.written, lane.tally.keys.failed], [true, 20, 30])
  })

  it('stop ends a lane at once that has nothing on its way', async () => {
    const one = await desk({ slots: 1 })
    one.add('busy', 10, { priority: 1 })
    const lane = one.add('waiting', 10)
    await one.sent()
    one.dispatcher.stop(lane, cancelled)
    assertEquals([lane.isEnded, one.changes.waiting], [true, 1])
    await one.finish('busy')
    assertEquals(await one.sent(), ['busy'])
  })

  it('dispatcher tells of a change after each batch', async () => {
    const one = await desk()
    one.add('a', 30)
    for (let at = 0; at < 3; at++) await one.finish('a')
    assertEquals(one.changes.a, 3)
  })

  it('dispatcher tells the worker all that the batch needs', async () => {
    const one = await desk({ maxRps: 50, storeTimeoutMs: 700, backoffBaseMs: 30 })
    one.add('rates', 3, { task: httpTask({ timeoutMs: 900 }), params: { limit: 3 } })
    one.add('loads', 1)
    await one.sent()
    const [http, load] = one.worker.batches
    assertEquals(http, {
      id: 0,
      task: 'rates',
      work: { kind: 'keys', keys: ['k:1', 'k:2', 'k:3'] },
      params: { limit: 3 },
      timeoutMs: 900,
      storeTimeoutMs: 700,
      backoffBaseMs: 30,
      ttlMs: 3_600_000,
      retries: 3,
      keyEvents: 0,
      requestIntervalMs: 20,
      traceId,
    })
    assertEquals([load?.id, load?.requestIntervalMs], [1, 0])
  })
})
