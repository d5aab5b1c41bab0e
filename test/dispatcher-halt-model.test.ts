import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { BatchMessage } from '../src/pool/protocol.ts'
import { turn } from './fakes/clock.ts'
import { desk } from './fakes/dispatcher.ts'
import type { FakeWorker } from './fakes/worker.ts'
import { checkAsync } from './support/property.ts'

/** What the worker does with the batch that it has had the longest. */
type Move =
  | { do: 'finish' }
  /** It had written the first few when it was told to stop. */
  | { do: 'obey'; written: number }
  | { do: 'halt' }
  | { do: 'resume' }

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: 'finish' } as const) },
  { weight: 2, arbitrary: fc.nat(10).map((written) => ({ do: 'obey', written }) as const) },
  { weight: 2, arbitrary: fc.constant({ do: 'halt' } as const) },
  { weight: 2, arbitrary: fc.constant({ do: 'resume' } as const) },
)

describe('Dispatcher, halted and resumed at random', () => {
  it('writes each key exactly once, whatever the order of halts, resumes and answers', async () => {
    await checkAsync(
      fc.asyncProperty(fc.array(move, { maxLength: 60 }), fc.integer({ min: 1, max: 60 }), async (moves, count) => {
        const held: { batch: BatchMessage; worker: FakeWorker }[] = []
        const written = new Map<string, number>()
        const one = await desk({ slots: 3, batch: (batch, worker) => void held.push({ batch, worker }) })
        const lane = one.add('a', count)
        const halts: Promise<unknown>[] = []
        const write = (keys: readonly string[]) => {
          for (const key of keys) written.set(key, (written.get(key) ?? 0) + 1)
        }
        const answer = (isTold: boolean, share: number) => {
          const at = held.findIndex(({ batch, worker }) => !isTold || isCancelled(worker, batch.id))
          const [next] = held.splice(at, at === -1 ? 0 : 1)
          if (next === undefined) return
          const keys = keysOf(next.batch)
          if (!isTold) {
            write(keys)
            return next.worker.done(next.batch)
          }
          const failure = { code: 'JOB_CANCELLED', message: 'cancelled before a write' } as const
          const done = keys.slice(0, share)
          write(done)
          if (done.length === 0) next.worker.say({ type: 'failed', id: next.batch.id, failure, retryable: false })
          else next.worker.done(next.batch, reportOf(done, keys.slice(share), failure))
        }
        for (const { do: what, ...rest } of moves) {
          if (what === 'halt') halts.push(one.dispatcher.halt(600_000))
          else if (what === 'resume') one.dispatcher.resume()
          else if (what === 'finish') answer(false, 0)
          else answer(true, (rest as { written: number }).written)
          await turn()
        }
        one.dispatcher.resume()
        for (let round = 0; !lane.isEnded && round < 500; round++) {
          answer(false, 0)
          await turn()
        }
        await Promise.all(halts)
        assertEquals([lane.isEnded, lane.tally.keys.planned, lane.tally.keys.written], [true, count, count])
        assertEquals([written.size, Math.max(...written.values())], [count, 1])
      }),
      150,
    )
  })
})

function isCancelled(worker: FakeWorker, id: number): boolean {
  return worker.received.some((message) => message.type === 'cancel' && message.id === id)
}

function keysOf({ work }: BatchMessage): readonly string[] {
  return work.kind === 'keys' ? work.keys : []
}

function reportOf(
  done: readonly string[],
  retryKeys: string[],
  firstError: { code: 'JOB_CANCELLED'; message: string },
) {
  const keys = { planned: done.length, written: done.length, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
  return { keys, retryKeys, firstError: retryKeys.length > 0 ? firstError : null }
}
