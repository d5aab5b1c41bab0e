import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { TaskPlan } from '../src/job/plan.ts'
import type { BatchMessage } from '../src/pool/protocol.ts'
import { type Desk, desk } from './fakes/dispatcher.ts'
import { keys } from './fakes/tasks.ts'
import type { FakeWorker } from './fakes/worker.ts'

const plan = (priorities: number[]): TaskPlan => ({
  kind: 'keys',
  keys: keys(priorities.length),
  failures: [],
  priorities: Float64Array.from(priorities),
})

/** Of each batch that was sent: its task and its first key. */
const sent = async (one: Desk): Promise<string[]> => {
  await one.sent()
  return one.worker.batches.map(({ task, work }) => `${task} ${work.kind === 'keys' ? work.keys[0] : work.kind}`)
}

describe('a dispatcher of batches with priorities', () => {
  it('sends them by what their first keys have, over all tasks', async () => {
    const one = await desk({ slots: 1, batch: (batch, worker) => worker.done(batch) })
    one.add('a', 0, { batchSize: 2, plan: plan([90, 80, 40, 30, 5, 5]) })
    one.add('b', 0, { batchSize: 2, plan: plan([85, 84, 83, 10, 7, 1]), priority: 50 })
    one.add('c', 0, { batchSize: 2, plan: { kind: 'keys', keys: keys(2), failures: [], priorities: 60 } })
    await one.clock.until(Promise.resolve())
    assertEquals(await sent(one), ['a k:1', 'b k:1', 'b k:3', 'c k:1', 'a k:3', 'b k:5', 'a k:5'])
  })

  it('sends ranges by the priority of their query, and goes by the task’s own where a plan tells none', async () => {
    const one = await desk({ slots: 1, batch: (batch, worker) => worker.done(batch) })
    const range = { range: { from: null, to: null, limit: null }, rows: 1 }
    one.add('own', 10, { priority: 50 })
    one.add('query', 0, { plan: { kind: 'ranges', ranges: [range, range], total: 2, priority: 70 } })
    one.add('scored', 0, { plan: plan([60]) })
    assertEquals(await sent(one), ['query range', 'query range', 'scored k:1', 'own k:1'])
  })

  it('sends a batch again by the priority that it had, before what is colder', async () => {
    let tries = 0
    const failOnce = (batch: BatchMessage, worker: FakeWorker) => {
      const failure = { code: 'ORIGIN_FAILED', message: 'once' } as const
      if (tries++ === 0) worker.say({ type: 'failed', id: batch.id, failure, retryable: true })
      else worker.done(batch)
    }
    const one = await desk({ slots: 1, takesMs: 100, batch: failOnce })
    one.add('hot', 0, { batchSize: 1, plan: plan([100, 3, 2]) })
    one.add('warm', 0, { batchSize: 1, plan: plan([50, 50, 50, 50, 50]) })
    await one.clock.advance(3000)
    const all = await sent(one)
    const again = all.lastIndexOf('hot k:1')
    assert(again > 1 && again < all.indexOf('warm k:5'), all.join())
    assertEquals(all.slice(-2), ['hot k:2', 'hot k:3'])
  })

  it('counts lanes by the priorities of their tasks, not of their batches', async () => {
    const one = await desk({ slots: 1 })
    one.add('a', 0, { plan: plan([90.5, 3.25]), batchSize: 1, priority: 100 })
    one.add('b', 0, { plan: plan([9.25, 1.125]), batchSize: 1, priority: 100 })
    await one.sent()
    assertEquals([...one.dispatcher.depth], [[100, 2]])
  })
})
