import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { FakeClock, turn } from '../fakes/clock.ts'
import { fakePool } from '../fakes/pool.ts'
import { batchOf, SETUP } from '../fakes/worker.ts'

const nobody = () => false

async function startedPool(size: number) {
  const clock = new FakeClock()
  const parts = fakePool(clock, [{ batch: () => {} }], { size })
  await clock.until(parts.pool.start())
  await clock.advance(1000)
  return { clock, ...parts }
}

const living = (workers: { terminated: number }[]) => workers.filter(({ terminated }) => terminated === 0).length

describe('Pool, resize', () => {
  it('resize grows to that many workers', async () => {
    const { clock, pool, workers } = await startedPool(1)
    pool.resize(3, 2)
    await clock.advance(1000)
    assertEquals([workers.length, pool.status().map(({ state }) => state)], [3, ['ready', 'ready', 'ready']])
  })

  it('resize shrinks when the others have finished what they have, and gives them nothing new', async () => {
    const { clock, pool, workers } = await startedPool(2)
    const ends = [1, 2, 3, 4].map((id) => pool.run(batchOf(id), 60_000))
    await turn()
    pool.resize(1, 2)
    pool.endRetired(nobody, 1000)
    assertEquals(living(workers), 2)
    assert(!pool.hasFreeSlot())
    for (const [at, worker] of workers.entries()) for (const batch of worker.batches) if (at < 2) worker.done(batch)
    for (const { end } of ends) assertEquals((await end).status, 'done')
    assert(pool.hasFreeSlot())
    assertEquals(pool.run(batchOf(5), 60_000).worker, pool.run(batchOf(6), 60_000).worker)
    pool.endRetired(nobody, 1000)
    await clock.advance(100)
    assertEquals([living(workers), pool.status().length], [1, 1])
    await clock.advance(30_000)
    assertEquals(pool.status().length, 1)
  })

  it('resize keeps a worker that holds what only it can do', async () => {
    const { clock, pool, workers } = await startedPool(2)
    pool.resize(1, 2)
    pool.endRetired((worker) => worker === 1, 1000)
    await clock.advance(100)
    assertEquals(living(workers), 2)
    assert(pool.hasFreeSlot(1))
    pool.endRetired(nobody, 1000)
    await clock.advance(100)
    assertEquals(living(workers), 1)
  })

  it('resize changes how many batches a worker may have at once', async () => {
    const { pool } = await startedPool(1)
    pool.resize(1, 5)
    for (let id = 0; id < 5; id++) pool.run(batchOf(id), 60_000)
    assert(!pool.hasFreeSlot())
  })

  it('replace gives new workers the new setup, and ends the old ones when a new one is ready', async () => {
    const { clock, pool, workers } = await startedPool(1)
    const end = pool.run(batchOf(1), 60_000)
    pool.replace({ ...SETUP, env: { WARMING_MAX_BATCH_SIZE: '7' } })
    pool.endRetired(nobody, 1000)
    assertEquals(living(workers), 1)
    await clock.advance(1000)
    assertEquals(workers.length, 2)
    const setup = workers[1]?.received[0]
    assertEquals(setup?.type === 'setup' && setup.setup.env, { WARMING_MAX_BATCH_SIZE: '7' })
    pool.endRetired(nobody, 1000)
    assertEquals(living(workers), 2, 'the old one has a batch')
    workers[0]?.done(workers[0].batches[0] as never)
    assertEquals((await end.end).status, 'done')
    pool.endRetired(nobody, 1000)
    await clock.advance(100)
    assertEquals(
      pool.status().map(({ id }) => id),
      [1],
    )
  })
})
