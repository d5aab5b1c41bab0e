import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { systemClock } from '../../../src/clock.ts'
import { PrewarmError } from '../../../src/errors.ts'
import { createModel, loadModel } from '../../../src/predict/model/index.ts'
import { ModelHolder } from '../../../src/predict/online/model-holder.ts'
import { unpack } from '../../../src/predict/online/pack.ts'
import { ThreadWorker } from '../../../src/predict/online/thread-worker.ts'
import { type FoldWork, type Models, type ModelWorker, plainOf } from '../../../src/predict/online/work.ts'
import { currentRuntime } from '../../../src/runtime/index.ts'
import { START, WINDOW } from './support.ts'

const runtime = currentRuntime()
const clock = systemClock(runtime.nowNs)
const models: Models = { create: createModel, load: loadModel }
const never = new AbortController().signal
const WORKER = new URL('../../../workers/predict-worker.ts', import.meta.url)

/** `count` windows of reads of `keys` keys each. */
function work(count: number, keys: number): FoldWork {
  const windows = Array.from({ length: count }, (_, index) => {
    const counts = Array.from({ length: keys }, (_, key) => {
      return [
        `key:${(key * (index + 1)) % (2 * keys)}`,
        { reads: 1 + (key % 7), lastMs: START + index * WINDOW },
      ] as const
    })
    const all = new Map(counts)
    const reads = [...all.values()].reduce((sum, one) => sum + one.reads, 0)
    return plainOf({ fromMs: START + index * WINDOW, toMs: START + (index + 1) * WINDOW, reads, keys: all })
  })
  return { kind: 'fold', id: `after ${count}`, options: { windowMs: WINDOW, capacity: 20_000 }, state: null, windows }
}

describe(`the folding thread of ${runtime.name}`, () => {
  it('folds what this thread would, and this thread goes on meanwhile', async () => {
    const notHere: ModelWorker = {
      do: async ({ kind }) => assert(false, `${kind} on the main thread`) as never,
    }
    const thread = new ThreadWorker({ startWorker: () => runtime.startWorker(WORKER, 'folds'), here: notHere, clock })
    try {
      let turns = 0
      let isDone = false
      const count = () => {
        turns++
        if (!isDone) setImmediate(count)
      }
      setImmediate(count)
      const given = work(4, 5000)
      const folded = await thread.do(given, never)
      isDone = true
      assert(turns > 100, `${turns} turns`)
      assertEquals([folded.windows, folded.foldedToMs], [4, START + 4 * WINDOW])
      assertEquals(await unpack(folded.state), await unpack((await new ModelHolder(models).do(given)).state))
      // It holds what came of that, and tells of it.
      const { options, windows } = work(5, 5000)
      const state = { id: given.id, packed: null }
      const partial = plainOf({ fromMs: START + 4 * WINDOW, toMs: START + 4 * WINDOW + 1, reads: 0, keys: new Map() })
      const asked = { kind: 'top', options, state, predictor: 'learned', limit: 10, partial } as const
      const hot = await thread.do(asked)
      assertEquals(hot, await new ModelHolder(models).do({ ...asked, state: { ...state, packed: folded.state } }))
      const histories = await thread.do({ kind: 'histories', options, state })
      assertEquals([hot.length, histories.keys.length > 5000], [10, true])
      const next = { kind: 'fold', id: 'next', options, state, windows: windows.slice(4) } as const
      assertEquals((await thread.do(next)).windows, 5)
      const error = await assertRejects(
        () => thread.do({ ...asked, state: { id: 'other', packed: null } }),
        PrewarmError,
      )
      assertEquals(error.code, 'NOT_FOUND')
    } finally {
      thread.rest()
    }
  })

  it('is replaced by this one where it can not be loaded', async () => {
    const missing = new URL('./no-such-worker.ts', import.meta.url)
    const startWorker = () => runtime.startWorker(missing, 'missing')
    const thread = new ThreadWorker({ startWorker, here: new ModelHolder(models), clock })
    assertEquals((await thread.do(work(2, 10), never)).windows, 2)
    thread.rest()
  })
})
