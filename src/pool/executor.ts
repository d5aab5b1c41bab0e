import { runBatch } from '../batch.ts'
import type { Clock } from '../clock.ts'
import type { Task } from '../config/task.ts'
import { PrewarmError, toFailure } from '../errors.ts'
import { isRetryable } from '../origin/failure.ts'
import type { Origin } from '../origin/types.ts'
import type { WorkerPort } from '../runtime/types.ts'
import type { Store } from '../store/types.ts'
import { type BatchMessage, BEAT_MS, type FromWorker, type ToWorker, type WorkerSetup } from './protocol.ts'

/** The edges of one thread. */
export interface ExecutorEdges {
  tasks: ReadonlyMap<string, Task>
  store: Store
  random: () => number
  originOf(task: Task): Origin
  closeStream(task: string, stream: string): Promise<void>
  /** Opens what the origins need and asks whether it is there; an absent one is told by the batches. */
  openOrigins?(): Promise<void>
  close(): Promise<void>
}

/** The worker's half of the pool: answers messages with batches run. The same code in a worker and inline. */
export function serveBatches(
  port: WorkerPort,
  clock: Clock,
  build: (setup: WorkerSetup) => Promise<ExecutorEdges>,
): void {
  let edges: ExecutorEdges | undefined
  const running = new Map<number, { abort: AbortController; ended: Promise<void> }>()
  let stopBeating = () => {}
  let isOver = false
  const say = (message: FromWorker) => port.post(message)
  const beat = () => {
    say({ type: 'beat' })
    stopBeating = clock.after(BEAT_MS, beat)
  }

  const setUp = async (setup: WorkerSetup) => {
    try {
      edges = await build(setup)
      // The store is connected by the first batch: a full Redis drops something for each connection.
      await edges.openOrigins?.().catch(() => {})
      if (isOver) return await edges.close()
      say({ type: 'ready' })
      beat()
    } catch (error) {
      await edges?.close().catch(() => {})
      say({ type: 'unfit', failure: toFailure(error) })
    }
  }

  const run = async (batch: BatchMessage, signal: AbortSignal) => {
    try {
      const task = edges?.tasks.get(batch.task)
      if (edges === undefined || task === undefined) {
        throw new PrewarmError('TASK_UNKNOWN', `The worker's configuration has no task '${batch.task}'`)
      }
      const onWriting = (keys: number) => say({ type: 'writing', id: batch.id, keys })
      const parts = { origin: edges.originOf(task), store: edges.store, random: edges.random, clock }
      say({
        type: 'done',
        id: batch.id,
        report: await runBatch(task, batch.work, { ...batch, signal, onWriting }, parts),
      })
    } catch (error) {
      say({ type: 'failed', id: batch.id, failure: toFailure(error), retryable: isRetryable(error) })
    } finally {
      running.delete(batch.id)
    }
  }

  const stop = async () => {
    for (const { abort } of running.values()) abort.abort()
    await Promise.all([...running.values()].map(({ ended }) => ended))
    stopBeating()
    await edges?.close().catch(() => {})
    say({ type: 'stopped' })
  }

  port.onExit(() => {
    isOver = true
    for (const { abort } of running.values()) abort.abort()
    stopBeating()
    void edges?.close().catch(() => {})
  })
  port.onMessage((raw) => {
    const message = raw as ToWorker
    switch (message.type) {
      case 'setup':
        void setUp(message.setup)
        break
      case 'batch': {
        const abort = new AbortController()
        running.set(message.batch.id, { abort, ended: Promise.resolve() })
        const ended = run(message.batch, abort.signal)
        if (running.has(message.batch.id)) running.set(message.batch.id, { abort, ended })
        break
      }
      case 'cancel':
        running.get(message.id)?.abort.abort()
        break
      case 'closeStream':
        void edges?.closeStream(message.task, message.stream)
        break
      case 'stop':
        void stop()
        break
    }
  })
}
