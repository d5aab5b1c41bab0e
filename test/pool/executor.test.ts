import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { load } from '../../src/config/define.ts'
import { type ExecutorEdges, serveBatches } from '../../src/pool/executor.ts'
import { portPair } from '../../src/pool/inline.ts'
import type { FromWorker } from '../../src/pool/protocol.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeOrigin } from '../fakes/origin.ts'
import { MemoryStore } from '../fakes/store.ts'
import { configOf, loadTask } from '../fakes/tasks.ts'
import { batchOf, SETUP } from '../fakes/worker.ts'

async function executor(prepare: (parts: { store: MemoryStore; origin: FakeOrigin }) => void = () => {}) {
  const clock = new FakeClock()
  const [port, theirs] = portPair()
  const store = new MemoryStore(clock)
  const origin = new FakeOrigin()
  prepare({ store, origin })
  const closed: string[] = []
  const config = configOf({ one: load({ key: 'k:{id}', load: loadTask().load }) })
  const edges: ExecutorEdges = {
    tasks: config.tasks,
    store,
    random: () => 0.5,
    originOf: () => origin,
    closeStream: async (task, stream) => void closed.push(`${task}/${stream}`),
    close: async () => void closed.push('edges'),
  }
  serveBatches(theirs, clock, async () => edges)
  const heard: FromWorker[] = []
  port.onMessage((message) => heard.push(message as FromWorker))
  port.post({ type: 'setup', setup: SETUP })
  await turn()
  return { clock, port, store, origin, heard, closed }
}

const hang = () => new Promise<void>(() => {})

describe('serveBatches', () => {
  it('serveBatches says that it is ready, then beats', async () => {
    const { clock, heard } = await executor()
    await clock.advance(1000)
    assertEquals(
      heard.map(({ type }) => type),
      ['ready', 'beat', 'beat', 'beat'],
    )
  })

  it('serveBatches says what keeps it from working', async () => {
    const clock = new FakeClock()
    const [port, theirs] = portPair()
    serveBatches(theirs, clock, () => Promise.reject(new Error('no configuration')))
    const heard: FromWorker[] = []
    port.onMessage((message) => heard.push(message as FromWorker))
    port.post({ type: 'setup', setup: SETUP })
    await turn()
    assertEquals(heard, [{ type: 'unfit', failure: { code: 'INTERNAL', message: 'no configuration' } }])
    assertEquals(clock.pending, 0)
  })

  it('serveBatches leaves the store alone until it has a batch', async () => {
    let connects = 0
    await executor(({ store }) => {
      store.onConnect = () => void connects++
    })
    assertEquals(connects, 0)
  })

  it('serveBatches runs a batch, announcing the write before it is done', async () => {
    const { port, heard, store } = await executor()
    port.post({ type: 'batch', batch: batchOf(3, ['k:1', 'k:2']) })
    await turn()
    assertEquals(
      heard.slice(2).map((message) => [message.type, 'id' in message && message.id]),
      [
        ['writing', 3],
        ['done', 3],
      ],
    )
    assertEquals(store.keys, ['k:1', 'k:2'])
  })

  it('serveBatches tells of a read that failed, and of a task it does not know', async () => {
    const { port, heard } = await executor(({ origin }) => {
      origin.onRead = () => Promise.reject(new Error('broken'))
    })
    port.post({ type: 'batch', batch: batchOf(1) })
    port.post({ type: 'batch', batch: batchOf(2, ['k:1'], { task: 'two' }) })
    await turn()
    const failed = heard.flatMap((message) => (message.type === 'failed' ? [[message.id, message.failure.code]] : []))
    assertEquals(failed.sort(), [
      [1, 'INTERNAL'],
      [2, 'TASK_UNKNOWN'],
    ])
  })

  it('serveBatches does not write a batch that was cancelled while it read', async () => {
    const { port, heard, store } = await executor(({ origin }) => {
      origin.onRead = (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    })
    port.post({ type: 'batch', batch: batchOf(1) })
    await turn()
    port.post({ type: 'cancel', id: 1 })
    await turn()
    const last = heard.at(-1)
    assert(last?.type === 'failed')
    assertEquals([last.failure.code, last.retryable, store.keys], ['JOB_CANCELLED', false, []])
  })

  it('serveBatches closes a stream when it is told to', async () => {
    const { port, closed } = await executor()
    port.post({ type: 'closeStream', task: 'one', stream: 's' })
    await turn()
    assertEquals(closed, ['one/s'])
  })

  it('serveBatches stops: cancels, closes its edges, says so, and leaves no timer', async () => {
    const { port, heard, closed, clock } = await executor(({ origin }) => {
      origin.onRead = (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    })
    port.post({ type: 'batch', batch: batchOf(1) })
    await turn()
    port.post({ type: 'stop' })
    await turn()
    assertEquals(
      heard.slice(2).map(({ type }) => type),
      ['failed', 'stopped'],
    )
    assertEquals([closed, clock.pending], [['edges'], 0])
  })

  it('serveBatches ends when its port is terminated: inline there is no thread to end', async () => {
    const { port, closed, clock, store, origin } = await executor()
    let go = () => {}
    origin.onRead = () => new Promise((resolve) => (go = resolve))
    port.post({ type: 'batch', batch: batchOf(1) })
    await turn()
    port.terminate()
    go()
    await clock.advance(5000)
    assertEquals([store.keys, closed, clock.pending], [[], ['edges'], 0])
  })

  it('serveBatches whose port is terminated while it opens its origins closes them, and does not begin to beat', async () => {
    const clock = new FakeClock()
    const [port, theirs] = portPair()
    const opened = Promise.withResolvers<void>()
    let closed = 0
    serveBatches(theirs, clock, async () => ({
      tasks: new Map(),
      store: new MemoryStore(clock),
      random: () => 0.5,
      originOf: () => new FakeOrigin(),
      closeStream: async () => {},
      openOrigins: () => opened.promise,
      close: async () => void closed++,
    }))
    port.post({ type: 'setup', setup: SETUP })
    await turn()
    port.terminate()
    opened.resolve()
    await turn()
    assertEquals([clock.pending, closed > 0], [0, true])
  })

  it('serveBatches that is told to stop while a read hangs still beats, so that its end is the bound of the other side', async () => {
    const { port, heard, clock } = await executor(({ origin }) => {
      origin.onRead = hang
    })
    port.post({ type: 'batch', batch: batchOf(1) })
    await turn()
    port.post({ type: 'stop' })
    await clock.advance(5000)
    assertEquals(
      heard.some(({ type }) => type === 'stopped'),
      false,
    )
    port.terminate()
  })
})
