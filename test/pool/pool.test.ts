import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { fakePool } from '../fakes/pool.ts'
import { type Behaviour, batchOf } from '../fakes/worker.ts'

const hung: Behaviour = { batch: () => {} }
const unfit: Behaviour = { setup: { code: 'STORE_UNREACHABLE', message: 'no Redis' } }

describe('Pool', () => {
  it('start waits for the first worker, then starts the others one after the other', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{}], { size: 3, staggerMs: 100 })
    await pool.start()
    await pool.start()
    await clock.advance(50)
    assertEquals(workers.length, 2)
    await clock.advance(100)
    assertEquals(workers.length, 3)
    await clock.advance(10_000)
    assertEquals(
      pool.status().map(({ state }) => state),
      ['ready', 'ready', 'ready'],
    )
  })

  it('start rejects with what keeps the first worker from working', async () => {
    const { pool } = fakePool(new FakeClock(), [unfit])
    assertEquals((await assertRejects(() => pool.start(), PrewarmError)).code, 'STORE_UNREACHABLE')
  })

  it('run takes the worker with the most free slots', async () => {
    const clock = new FakeClock()
    const { pool } = fakePool(clock, [hung], { size: 2, staggerMs: 1 })
    await pool.start()
    await clock.advance(10)
    const took = [1, 2, 3, 4].map((id) => pool.run(batchOf(id), 60_000).worker)
    assertEquals(took.slice(0, 2).sort(), [0, 1])
    assertEquals(took.slice(2).sort(), [0, 1])
    assertEquals(pool.hasFreeSlot(), false)
  })

  it('onFree tells when a worker becomes ready and when a batch has ended', async () => {
    const { pool } = fakePool(new FakeClock())
    let calls = 0
    pool.onFree(() => calls++)
    await pool.start()
    assertEquals(calls, 1)
    await pool.run(batchOf(1), 1000).end
    assertEquals(calls, 2)
  })

  it('a worker that dies is replaced, and the pool works on', async () => {
    const clock = new FakeClock()
    const { pool, workers, lost } = fakePool(clock, [hung, {}])
    await pool.start()
    const { end } = pool.run(batchOf(1), 60_000)
    workers[0]?.exit('gone')
    assertEquals((await end).status, 'lost')
    assertEquals([pool.hasFreeSlot(), lost], [false, ['gone']])
    await clock.advance(100)
    assertEquals([workers.length, pool.hasFreeSlot()], [2, true])
    assertEquals((await pool.run(batchOf(2), 1000).end).status, 'done')
  })

  it('a worker that hangs or falls silent is replaced', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [hung, {}, {}], { silenceMs: 3000 })
    await pool.start()
    const { end } = pool.run(batchOf(1), 2000)
    assertEquals((await clock.until(end, 2000)).status, 'lost')
    await clock.advance(100)
    workers[1]?.fallSilent()
    await clock.advance(5000)
    assertEquals([workers.length, pool.hasFreeSlot()], [3, true])
  })

  it('run for a worker that is gone ends as lost, and hasFreeSlot does not hold it up', async () => {
    const { pool, workers } = fakePool(new FakeClock())
    await pool.start()
    workers[0]?.exit('gone')
    assertEquals(pool.hasFreeSlot(0), true)
    assertEquals((await pool.run(batchOf(1), 1000, 0).end).status, 'lost')
  })

  it('a pool that had given up works again when workers can start again: a service outlives what kept them', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{}, unfit, unfit, unfit, unfit, {}])
    await pool.start()
    workers[0]?.exit('gone')
    await clock.advance(200)
    assertEquals((await pool.run(batchOf(1), 1000).end).status, 'lost')
    await clock.advance(30_000)
    assertEquals((await pool.run(batchOf(2), 1000).end).status, 'done')
    assertEquals(workers.length, 6)
    await clock.until(pool.stop(1000))
    assertEquals(clock.pending, 0)
  })

  it('a pool whose workers keep failing gives up: batches fail at once with the reason', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{}, unfit])
    await pool.start()
    workers[0]?.exit('gone')
    await clock.advance(60_000)
    // It goes on trying, at last every 5 s.
    assert(workers.length > 4 && workers.length <= 24, `${workers.length}`)
    assertEquals(pool.hasFreeSlot(), true)
    const end = await pool.run(batchOf(1), 1000).end
    assert(end.status === 'lost')
    assertEquals(end.failure.code, 'STORE_UNREACHABLE')
  })

  it('a pool that had given up works again when a slow starter becomes ready after all', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{}, { setup: 'silent' }, unfit], { size: 2, staggerMs: 1 })
    await pool.start()
    await clock.advance(10)
    workers[0]?.exit('gone')
    await clock.advance(5000)
    assertEquals(pool.hasFreeSlot(), true)
    workers[1]?.say({ type: 'ready' })
    await turn()
    const ends = [1, 2].map((id) => pool.run(batchOf(id), 1000).end)
    assertEquals(pool.hasFreeSlot(), false)
    for (const id of [1, 2]) workers[1]?.done(batchOf(id))
    assertEquals(
      (await Promise.all(ends)).map(({ status }) => status),
      ['done', 'done'],
    )
  })

  it('stop ends every worker within its bound, twice, leaving no timer and no batch', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{ ...hung, stop: 'ignore' }], { size: 3, staggerMs: 1 })
    await pool.start()
    await clock.advance(10)
    const { end } = pool.run(batchOf(1), 60_000)
    const before = clock.elapsedMs
    await clock.until(Promise.all([pool.stop(1500), pool.stop(1500)]))
    assertEquals(clock.elapsedMs - before, 1500)
    assertEquals((await end).status, 'lost')
    assertEquals(
      workers.map(({ terminated }) => terminated),
      [1, 1, 1],
    )
    assertEquals(clock.pending, 0)
  })

  it('stop ends a start that hangs', async () => {
    const clock = new FakeClock()
    const { pool } = fakePool(clock, [{ setup: 'silent' }])
    const started = assertRejects(() => pool.start(), PrewarmError)
    await turn()
    await clock.until(pool.stop(1500), 1500)
    assertEquals((await started).code, 'STOPPED')
    assertEquals(clock.pending, 0)
  })

  it('stop replaces nobody who dies meanwhile, and leaves no timer for one who died before', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock, [{}], { size: 2, staggerMs: 500 })
    await pool.start()
    await clock.advance(1000)
    workers[0]?.exit('gone')
    await clock.until(pool.stop(1500))
    assertEquals(clock.pending, 0)
    await clock.advance(60_000)
    assertEquals(workers.length, 2)
  })

  it('start after stop starts nothing', async () => {
    const clock = new FakeClock()
    const { pool, workers } = fakePool(clock)
    await pool.stop(1500)
    await pool.start().catch(() => {})
    await clock.advance(1000)
    assertEquals([workers.length, clock.pending], [0, 0])
  })

  it('run after stop ends as lost', async () => {
    const { pool } = fakePool(new FakeClock())
    await pool.start()
    await pool.stop(1500)
    assertEquals((await pool.run(batchOf(1), 1000).end).status, 'lost')
  })
})
