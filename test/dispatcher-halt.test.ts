import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { BatchMessage } from '../src/pool/protocol.ts'
import { turn } from './fakes/clock.ts'
import { desk } from './fakes/dispatcher.ts'
import { sqlTask } from './fakes/tasks.ts'
import type { FakeWorker } from './fakes/worker.ts'

/** A worker that keeps its batches until it is told to cancel them, as the real one does. */
function obedient() {
  const held = new Map<number, { batch: BatchMessage; worker: FakeWorker }>()
  return {
    held,
    batch(batch: BatchMessage, worker: FakeWorker) {
      held.set(batch.id, { batch, worker })
    },
    cancelAll(worker: FakeWorker) {
      for (const message of worker.received) {
        if (message.type !== 'cancel' || !held.delete(message.id)) continue
        const failure = { code: 'JOB_CANCELLED', message: 'cancelled before a write' } as const
        worker.say({ type: 'failed', id: message.id, failure, retryable: false })
      }
    },
  }
}

describe('Dispatcher, halt', () => {
  it('halt resolves when nothing is on its way, sends nothing until resume, and loses no key and no try', async () => {
    const play = obedient()
    const one = await desk({ batch: play.batch })
    const lane = one.add('a', 40)
    await one.sent()
    const halting = one.dispatcher.halt(5000)
    let isHalted = false
    void halting.then(() => {
      isHalted = true
    })
    await turn()
    assertEquals([isHalted, one.worker.batches.length], [false, 2])
    play.cancelAll(one.worker)
    assertEquals(await one.clock.until(halting), { halted: 2, settled: true })
    await one.clock.advance(60_000)
    assertEquals([one.worker.batches.length, one.dispatcher.isHalted, lane.isEnded], [2, true, false])

    one.dispatcher.resume()
    await one.sent()
    const again = one.worker.batches.slice(2).map(({ work }) => work)
    assertEquals(
      again,
      one.worker.batches.slice(0, 2).map(({ work }) => work),
    )
    while (!lane.isEnded) {
      for (const [id, { batch, worker }] of play.held) {
        play.held.delete(id)
        worker.done(batch)
      }
      await turn()
    }
    assertEquals([lane.tally.keys.planned, lane.tally.keys.written], [40, 40])
  })

  it('halt ends a worker that does not answer, and says so', async () => {
    const one = await desk()
    const lane = one.add('a', 10)
    await one.sent()
    const halted = await one.clock.until(one.dispatcher.halt(5000))
    assertEquals([halted, one.worker.terminated], [{ halted: 1, settled: false }, 1])
    assert(!lane.isEnded)
  })

  it('halt keeps what was written, and sends again only the rest', async () => {
    const one = await desk({ slots: 1 })
    const lane = one.add('a', 4)
    await one.sent()
    const halting = one.dispatcher.halt(5000)
    const [batch] = one.worker.batches as [BatchMessage]
    const keys = { planned: 1, written: 1, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
    const firstError = { code: 'JOB_CANCELLED', message: 'cancelled' } as const
    one.worker.done(batch, { keys, retryKeys: ['k:2', 'k:3', 'k:4'], firstError })
    await one.clock.until(halting)
    one.dispatcher.resume()
    await one.sent()
    assertEquals(one.worker.batches[1]?.work, { kind: 'keys', keys: ['k:2', 'k:3', 'k:4'] })
    one.worker.done(one.worker.batches[1] as BatchMessage)
    await turn()
    assertEquals([lane.isEnded, lane.tally.keys.written, lane.tally.firstError], [true, 4, null])
  })

  it('a halted stream begins anew on resume, its old cursor is closed', async () => {
    const play = obedient()
    const one = await desk({ batch: play.batch })
    const lane = one.add('rows', 0, { task: sqlTask(), plan: { kind: 'stream', limit: null, guess: null } })
    await one.sent()
    const first = lane.heldStream?.id
    const halting = one.dispatcher.halt(5000)
    await turn()
    play.cancelAll(one.worker)
    await one.clock.until(halting)
    const closed = one.worker.received.flatMap((message) => (message.type === 'closeStream' ? [message.stream] : []))
    assertEquals(closed, [first as string])
    one.dispatcher.resume()
    await one.sent()
    const pages = one.worker.batches.map(({ work }) => (work.kind === 'page' ? work.stream : ''))
    assert(pages.length >= 2 && pages.at(-1) !== first, `${pages}`)
  })

  it('a lane that is stopped while halted gives up what waits', async () => {
    const play = obedient()
    const one = await desk({ batch: play.batch })
    const lane = one.add('a', 40)
    await one.sent()
    const halting = one.dispatcher.halt(5000)
    await turn()
    play.cancelAll(one.worker)
    await one.clock.until(halting)
    one.dispatcher.stop(lane, { code: 'JOB_CANCELLED', message: 'cancelled' })
    assertEquals([lane.isEnded, lane.tally.keys.planned, lane.tally.keys.failed], [true, 40, 40])
  })
})
