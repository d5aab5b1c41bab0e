import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { TaskPlan } from '../src/job/plan.ts'
import type { BatchMessage } from '../src/pool/protocol.ts'
import { turn } from './fakes/clock.ts'
import { type Desk, desk } from './fakes/dispatcher.ts'
import { sqlTask } from './fakes/tasks.ts'

const plan: TaskPlan = { kind: 'stream', limit: null, guess: null }
const stream = (one: Desk, name: string, priority = 0) => one.add(name, 0, { task: sqlTask(), plan, priority })

/** The worker's answer to the page `batch`. */
async function answer(one: Desk, batch: BatchMessage | undefined, isLast: boolean): Promise<void> {
  one.worker.done(batch as BatchMessage, { done: isLast })
  await turn()
}

describe('Dispatcher, streams', () => {
  it('dispatcher opens no more streams than may hold a connection, and the next when one has ended', async () => {
    const one = await desk({ slots: 10, maxOpenStreams: 2 })
    for (const name of ['a', 'b', 'c']) stream(one, name)
    const sent = await one.sent()
    assertEquals([...new Set(sent)].sort(), ['a', 'b'])
    for (const batch of one.worker.batches.filter(({ task }) => task === 'a')) await answer(one, batch, true)
    assertEquals(new Set(await one.sent()), new Set(['a', 'b', 'c']))
  })

  it('dispatcher lets keys go on while a stream waits for its turn', async () => {
    const one = await desk({ slots: 10, maxOpenStreams: 1 })
    stream(one, 'a', 2)
    stream(one, 'b', 1)
    one.add('keys', 10)
    const sent = await one.sent()
    assertEquals([sent.includes('b'), sent.includes('keys')], [false, true])
  })

  it('dispatcher opens a more important stream though less important ones hold all places', async () => {
    const one = await desk({ slots: 10, maxOpenStreams: 1 })
    stream(one, 'cold')
    await one.sent()
    stream(one, 'hot', 100)
    assertEquals((await one.sent()).includes('hot'), true)
  })

  it('dispatcher sends the second page only when a worker holds the cursor, and all pages to that one', async () => {
    const one = await desk({ slots: 10 })
    stream(one, 'a')
    const sent = await one.sent()
    assertEquals(sent, ['a', 'a', 'a'])
    const ids = one.worker.batches.map(({ work }) => work.kind === 'page' && work.stream)
    assertEquals(new Set(ids).size, 1)
    await answer(one, one.worker.batches[0], false)
    assertEquals((await one.sent()).length, 4)
    for (const batch of one.worker.batches.slice(1)) await answer(one, batch, true)
    assertEquals([(await one.sent()).length, one.lanes[0]?.isEnded], [4, true])
  })

  it('stop has the worker close the stream that it holds', async () => {
    const one = await desk({ slots: 10 })
    const lane = stream(one, 'a')
    await one.sent()
    one.dispatcher.stop(lane, { code: 'JOB_CANCELLED', message: 'stop' })
    for (const batch of [...one.worker.batches]) await answer(one, batch, false)
    const closed = one.worker.received.flatMap((message) => (message.type === 'closeStream' ? [message.stream] : []))
    const [first] = one.worker.batches
    assertEquals(closed.length > 0 && first?.work.kind === 'page' && closed[0] === first.work.stream, true)
    assertEquals([(await one.sent()).length, lane.isEnded], [3, true])
  })

  it('stop has the worker close a stream of which no page is on its way: it holds a connection', async () => {
    const one = await desk({ slots: 10 })
    const lane = one.add('a', 0, { task: sqlTask(), plan, batchDelayMs: 60_000 })
    await one.sent()
    const [first] = one.worker.batches
    await answer(one, first, false)
    assertEquals([(await one.sent()).length, lane.isEnded], [1, false])
    one.dispatcher.stop(lane, { code: 'JOB_CANCELLED', message: 'stop' })
    await turn()
    const closed = one.worker.received.flatMap((message) => (message.type === 'closeStream' ? [message.stream] : []))
    assertEquals([closed, lane.isEnded], [first?.work.kind === 'page' ? [first.work.stream] : [], true])
  })
})
