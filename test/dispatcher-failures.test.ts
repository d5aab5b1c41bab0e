import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Failure } from '../src/errors.ts'
import { desk } from './fakes/dispatcher.ts'
import { loadTask } from './fakes/tasks.ts'
import { reportOf } from './fakes/worker.ts'

describe('Dispatcher, failures', () => {
  it('dispatcher sends what has failed again after a pause, with a new permit', async () => {
    let tries = 0
    const one = await desk({
      batch(batch, worker) {
        const failure: Failure = { code: 'ORIGIN_UNREACHABLE', message: 'away' }
        if (++tries === 1) worker.say({ type: 'failed', id: batch.id, failure, retryable: true })
        else worker.done(batch)
      },
    })
    const lane = one.add('a', 10)
    assertEquals((await one.sent()).length, 1)
    await one.clock.advance(49)
    assertEquals((await one.sent()).length, 1)
    await one.clock.advance(1)
    assertEquals((await one.sent()).length, 2)
    assertEquals([lane.isEnded, lane.tally.keys.written], [true, 10])
  })

  it('dispatcher holds only the lane whose origin is down, then gives it up', async () => {
    const failure: Failure = { code: 'ORIGIN_UNREACHABLE', message: 'away' }
    const one = await desk({
      slots: 1,
      takesMs: 5,
      batch: (batch, worker) =>
        batch.task === 'up'
          ? worker.done(batch)
          : worker.say({ type: 'failed', id: batch.id, failure, retryable: false }),
    })
    const lane = one.add('down', 1000, { priority: 1, task: loadTask({ retries: 0 }) })
    const other = one.add('up', 50)
    const tried = async () => (await one.sent()).filter((task) => task === 'down').length
    await one.clock.advance(900)
    assertEquals([other.isEnded, lane.isEnded], [true, false])
    const first = await tried()
    // One more may have been on its way when the fifth came back.
    assert(first === 5 || first === 6, `${first}`)
    await one.clock.advance(10_000)
    assertEquals(await tried(), first + 3)
    assertEquals([lane.isEnded, lane.stoppedBy, lane.tally.keys.failed], [true, 'ORIGIN_UNREACHABLE', 1000])
  })

  it('dispatcher counts a batch whose every request the origin refused as the origin being down', async () => {
    const firstError: Failure = { code: 'ORIGIN_FAILED', message: 'answered 503', detail: '503' }
    const keys = { ...reportOf(0).keys }
    const one = await desk({
      slots: 1,
      takesMs: 5,
      batch(batch, worker) {
        const retryKeys = batch.work.kind === 'keys' ? [...batch.work.keys] : []
        worker.done(batch, { keys, firstError, retryKeys })
      },
    })
    const lane = one.add('down', 1000, { task: loadTask({ retries: 3 }) })
    await one.clock.advance(20_000)
    const tried = (await one.sent()).length
    assert(tried < 20, `${tried} batches`)
    assertEquals([lane.isEnded, lane.stoppedBy], [true, 'ORIGIN_UNREACHABLE'])
  })

  it('dispatcher gives everything up when batch after batch cannot reach the store, and begins anew after that', async () => {
    const firstError: Failure = { code: 'STORE_UNREACHABLE', message: 'no Redis' }
    const keys = { ...reportOf(10).keys, written: 0, failed: 10 }
    let isAway = true
    const one = await desk({
      slots: 1,
      maxStoreAway: 3,
      takesMs: 5,
      batch: (batch, worker) => worker.done(batch, isAway ? { keys, firstError } : {}),
    })
    const lanes = [one.add('a', 100), one.add('b', 100)]
    await one.clock.advance(100)
    const { length } = await one.sent()
    assert(length === 3 || length === 4, `${length}`)
    for (const { isEnded, stoppedBy, tally } of lanes)
      assertEquals([isEnded, stoppedBy, tally.keys.failed], [true, 'STORE_UNREACHABLE', 100])
    isAway = false
    const later = one.add('c', 20)
    await one.clock.advance(100)
    assertEquals([later.isEnded, later.tally.keys.written], [true, 20])
  })

  it('dispatcher gives everything up when no batch gets a ticket from the store', async () => {
    const failure: Failure = { code: 'STORE_UNREACHABLE', message: 'no Redis' }
    const one = await desk({
      slots: 1,
      maxStoreAway: 3,
      takesMs: 5,
      batch: (batch, worker) => worker.say({ type: 'failed', id: batch.id, failure, retryable: false }),
    })
    const lane = one.add('a', 100)
    await one.clock.advance(100)
    const { length } = await one.sent()
    assert(length === 3 || length === 4, `${length}`)
    assertEquals([lane.isEnded, lane.stoppedBy, lane.tally.keys.failed], [true, 'STORE_UNREACHABLE', 100])
  })

  it('dispatcher bears a store that is away now and then', async () => {
    const firstError: Failure = { code: 'STORE_UNREACHABLE', message: 'no Redis' }
    const keys = { ...reportOf(10).keys, written: 0, failed: 10 }
    let count = 0
    const one = await desk({
      slots: 1,
      maxStoreAway: 3,
      takesMs: 5,
      batch: (batch, worker) => worker.done(batch, ++count % 3 === 0 ? {} : { keys, firstError }),
    })
    const lane = one.add('a', 90)
    await one.clock.advance(100)
    assertEquals([lane.isEnded, lane.stoppedBy, lane.tally.keys.written], [true, null, 30])
  })
})
