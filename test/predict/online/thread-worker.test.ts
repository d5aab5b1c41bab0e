import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../../src/errors.ts'
import { portPair } from '../../../src/pool/inline.ts'
import { ModelHolder } from '../../../src/predict/online/model-holder.ts'
import { serveModels } from '../../../src/predict/online/model-thread.ts'
import { pack, unpack } from '../../../src/predict/online/pack.ts'
import { ThreadWorker } from '../../../src/predict/online/thread-worker.ts'
import { type FoldWork, plainOf } from '../../../src/predict/online/work.ts'
import type { WorkerPort } from '../../../src/runtime/types.ts'
import { FakeClock, turn } from '../../fakes/clock.ts'
import { fakeModels } from '../../fakes/prediction-model.ts'
import { START, WINDOW } from './support.ts'

const work: FoldWork = {
  kind: 'fold',
  id: 'one',
  options: { windowMs: WINDOW, capacity: 9 },
  state: null,
  windows: [0, 1].map((index) =>
    plainOf({
      fromMs: START + index * WINDOW,
      toMs: START + (index + 1) * WINDOW,
      reads: 3,
      keys: new Map([['é:😀', { reads: 3, lastMs: START }]]),
    }),
  ),
}
const never = new AbortController().signal

/** A thread, played by this one; `silent` does nothing. */
function thread({ silent = false } = {}) {
  const [ours, theirs] = portPair()
  let terminated = 0
  let exit = (_reason: string) => {}
  if (!silent) serveModels(theirs, new ModelHolder(fakeModels))
  const port: WorkerPort = {
    post: (message) => ours.post(structuredClone(message)),
    onMessage: (listener) => ours.onMessage((message) => listener(structuredClone(message))),
    onExit: (listener) => {
      exit = listener
    },
    terminate: () => {
      terminated++
      ours.terminate()
    },
  }
  return { port, exit: (reason: string) => exit(reason), terminated: () => terminated }
}

function threadWorker(threads: ReturnType<typeof thread>[], clock = new FakeClock()) {
  let started = 0
  const startWorker = () => {
    const next = threads[started++]
    if (next === undefined) throw new Error('no thread to be had')
    return next.port
  }
  const here = new ModelHolder(fakeModels, () => clock.sleep(0))
  return { clock, worker: new ThreadWorker({ startWorker, here, clock }), started: () => started }
}

describe('ThreadWorker', () => {
  it('folds in a thread what would be folded here, and keeps the thread until it rests', async () => {
    const one = thread()
    const two = thread()
    const { worker: folds, started } = threadWorker([one, two])
    const first = await folds.do(work, never)
    assertEquals(await unpack(first.state), await unpack((await new ModelHolder(fakeModels).do(work)).state))
    assertEquals([first.foldedToMs, first.windows, first.scores.length], [START + 2 * WINDOW, 2, 1])
    await folds.do({ ...work, state: null }, never)
    assertEquals([started(), one.terminated()], [1, 0])
    folds.rest()
    folds.rest()
    assertEquals(one.terminated(), 1)
    await folds.do(work, never)
    assertEquals(started(), 2)
  })

  it('passes on what is wrong with the state, and the thread lives on', async () => {
    const one = thread()
    const { worker: folds } = threadWorker([one])
    const error = await assertRejects(
      async () => folds.do({ ...work, state: { id: 'bad', packed: await pack('?') } }, never),
      PrewarmError,
    )
    assertEquals([error.code, one.terminated()], ['MODEL_INVALID', 0])
    assertEquals((await folds.do(work, never)).windows, 2)
  })

  it('folds here where no thread can be started', async () => {
    const { worker: folds, clock } = threadWorker([])
    assertEquals((await clock.until(folds.do(work, never))).windows, 2)
  })

  it('folds here when the thread dies, and in a new one the next time', async () => {
    const [one, two] = [thread({ silent: true }), thread()]
    const { worker: folds, clock, started } = threadWorker([one, two])
    const folding = folds.do(work, never)
    await turn()
    one.exit('it crashed')
    assertEquals([(await clock.until(folding)).windows, one.terminated()], [2, 1])
    assertEquals([(await folds.do(work, never)).windows, started()], [2, 2])
  })

  it('folds here when the thread says nothing for 30 s', async () => {
    const one = thread({ silent: true })
    const { worker: folds, clock } = threadWorker([one])
    let isDone = false
    const folding = folds.do(work, never).finally(() => {
      isDone = true
    })
    await clock.advance(29_999)
    assertEquals([isDone, one.terminated()], [false, 0])
    assertEquals((await clock.until(folding)).windows, 2)
    assertEquals([one.terminated(), clock.pending], [1, 0])
  })

  it('ends the thread when it has had no work for half a minute', async () => {
    const one = thread()
    const { worker: folds, clock, started } = threadWorker([one, thread()])
    await folds.do(work, never)
    await clock.advance(20_000)
    await folds.do(work, never)
    await clock.advance(29_999)
    assertEquals([one.terminated(), started()], [0, 1])
    await clock.advance(1)
    assertEquals([one.terminated(), clock.pending], [1, 0])
    await folds.do(work, never)
    assertEquals(started(), 2)
  })

  it('lets others run between two windows that are folded here', async () => {
    const { worker: folds, clock } = threadWorker([])
    const folding = folds.do(work, never)
    await turn()
    // It waits before its first window.
    assertEquals(clock.pending, 1)
    await clock.until(folding)
  })

  it('ends the thread when it is told to stop, at any time', async () => {
    for (const silent of [false, true]) {
      const one = thread({ silent })
      const { worker: folds, clock } = threadWorker([one])
      const stop = new AbortController()
      const folding = folds.do(work, stop.signal)
      folding.catch(() => {})
      stop.abort()
      const error = await assertRejects(() => folding, PrewarmError)
      assertEquals([error.code, one.terminated(), clock.pending], ['STOPPED', 1, 0])
      await assertRejects(() => folds.do(work, stop.signal), PrewarmError)
    }
    const { worker: folds, clock } = threadWorker([])
    const stop = new AbortController()
    const folding = folds.do(work, stop.signal)
    folding.catch(() => {})
    await turn()
    stop.abort(new PrewarmError('STOPPED', 'it ends'))
    await assertRejects(() => clock.until(folding), PrewarmError)
  })

  it('leaves to others what they wait for when one is told to stop', async () => {
    const [one, two] = [thread({ silent: true }), thread()]
    const { worker: folds, clock, started } = threadWorker([one, two])
    const stop = new AbortController()
    const first = folds.do(work, stop.signal)
    first.catch(() => {})
    const second = folds.do(work, never)
    stop.abort()
    assertEquals((await assertRejects(() => first, PrewarmError)).code, 'STOPPED')
    assertEquals([(await clock.until(second)).windows, started(), one.terminated()], [2, 2, 1])
  })

  it('lets nobody wait when it is closed, and starts nothing more', async () => {
    const one = thread({ silent: true })
    const { worker: folds, clock, started } = threadWorker([one, thread()])
    const folding = folds.do(work)
    folding.catch(() => {})
    await turn()
    folds.close()
    folds.close()
    assertEquals((await assertRejects(() => folding, PrewarmError)).code, 'STOPPED')
    assertEquals((await assertRejects(() => folds.do(work), PrewarmError)).code, 'STOPPED')
    assertEquals([one.terminated(), started(), clock.pending], [1, 1, 0])
  })

  it('hears nothing that a thread it has ended still says', async () => {
    const one = thread()
    const { worker: folds } = threadWorker([one, thread()])
    const stop = new AbortController()
    const first = folds.do(work, stop.signal)
    first.catch(() => {})
    stop.abort()
    const second = await folds.do({ ...work, windows: work.windows.slice(0, 1) }, never)
    assertEquals(second.windows, 1)
    assert((await Promise.allSettled([first]))[0]?.status === 'rejected')
  })
})

describe('pack', () => {
  it('gives back any text, and refuses what it did not make', async () => {
    for (const text of ['', 'é😀\u0000', 'x'.repeat(1_000_000)]) assertEquals(await unpack(await pack(text)), text)
    assert((await pack('x'.repeat(1_000_000))).length < 5000)
    for (const bad of ['', 'nonsense!', 'AAAA', (await pack('abc')).slice(0, -8)])
      await assertRejects(() => unpack(bad))
  })
})
