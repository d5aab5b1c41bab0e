import type { BatchReport } from '../batch.ts'
import type { Clock } from '../clock.ts'
import { type Failure, PrewarmError, toFailure } from '../errors.ts'
import type { WorkerPort } from '../runtime/types.ts'
import { type BatchMessage, BEAT_MS, type FromWorker, type ToWorker, type WorkerSetup } from './protocol.ts'

/** How a batch ended, as seen from the main thread. Every batch ends in one of these. */
export type BatchEnd =
  | { status: 'done'; report: BatchReport }
  | { status: 'failed'; failure: Failure; retryable: boolean }
  /** The worker died or hung. `keys` were about to be written, or written, when it did. */
  | { status: 'lost'; failure: Failure; keys: number }

interface Running {
  finish(end: BatchEnd): void
  keys: number
  batch: BatchMessage
  sentMs: number
}

/** The batch that a worker has had the longest: its first key, or its task. */
export interface CurrentBatch {
  key: string
  sentMs: number
}

export interface MemberOptions {
  id: number
  port: WorkerPort
  setup: WorkerSetup
  clock: Clock
  readyTimeoutMs: number
  /** Silence after which it counts as dead, ms. */
  silenceMs: number
  /** Called once, when it is dead and can't be used again. */
  onLost(member: Member, reason: string): void
}

/** One worker as the main thread sees it: a port, what runs on it, and whether it still lives. */
export class Member {
  readonly id: number
  readonly ready: Promise<void>
  /** Batches it may have at once. */
  slots: number
  /** It gets no batch any more but those that only it can do. */
  isRetiring = false
  readonly #options: MemberOptions
  readonly #running = new Map<number, Running>()
  #state: 'starting' | 'ready' | 'lost' | 'stopped' = 'starting'
  #lastBeatNs: number
  #stopWatching = () => {}
  #becameReady!: () => void
  #unfit!: (error: PrewarmError) => void
  #onStopped = () => {}

  constructor(options: MemberOptions) {
    this.id = options.id
    this.#options = options
    this.slots = options.setup.slots
    this.#lastBeatNs = options.clock.nowNs()
    this.ready = new Promise((resolve, reject) => {
      this.#becameReady = resolve
      this.#unfit = reject
    })
    this.ready.catch(() => {})
    options.port.onMessage((message) => this.#receive(message as FromWorker))
    options.port.onExit((reason) => this.lose(reason))
    this.#say({ type: 'setup', setup: options.setup })
    this.#watch()
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  get running(): number {
    return this.#running.size
  }

  get current(): CurrentBatch | null {
    const first = this.#running.values().next().value
    if (first === undefined) return null
    const { work, task } = first.batch
    return { key: work.kind === 'keys' ? (work.keys[0] ?? task) : task, sentMs: first.sentMs }
  }

  get freeSlots(): number {
    return this.#state === 'ready' ? this.slots - this.#running.size : 0
  }

  /** Runs one batch. Never rejects and never hangs: `deadlineMs` after the start the worker counts as hung. */
  run(batch: BatchMessage, deadlineMs: number): Promise<BatchEnd> {
    return new Promise((resolve) => {
      if (this.#state !== 'ready') return resolve(lost('the worker is gone', 0))
      const takeBackDeadline = this.#options.clock.after(deadlineMs, () =>
        this.lose(`no answer within ${deadlineMs} ms`),
      )
      const finish = (end: BatchEnd) => {
        takeBackDeadline()
        this.#running.delete(batch.id)
        resolve(end)
      }
      this.#running.set(batch.id, { finish, keys: 0, batch, sentMs: this.#options.clock.nowMs() })
      try {
        this.#say({ type: 'batch', batch })
      } catch (error) {
        finish({ status: 'failed', failure: toFailure(error), retryable: false })
      }
    })
  }

  cancel(id: number): void {
    if (this.#running.has(id)) this.#say({ type: 'cancel', id })
  }

  closeStream(task: string, stream: string): void {
    if (this.#state === 'ready') this.#say({ type: 'closeStream', task, stream })
  }

  /** Declares it dead: ends the thread, ends its batches, tells the pool. */
  lose(reason: string): void {
    if (this.#state === 'lost' || this.#state === 'stopped') return
    const wasStarting = this.#state === 'starting'
    this.#state = 'lost'
    this.#end(reason)
    if (wasStarting) this.#unfit(new PrewarmError('WORKER_LOST', `A worker did not start: ${reason}`))
    this.#options.onLost(this, reason)
  }

  /** Cancels its batches, lets it close its connections, ends the thread; at the deadline it is ended anyway. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#state === 'lost' || this.#state === 'stopped') return
    if (this.#state === 'ready') {
      const stopped = new Promise<void>((resolve) => {
        this.#onStopped = resolve
      })
      this.#say({ type: 'stop' })
      const timeout = new AbortController()
      await Promise.race([stopped, this.#options.clock.sleep(timeoutMs, timeout.signal)])
      timeout.abort()
    }
    this.#state = 'stopped'
    this.#unfit(new PrewarmError('STOPPED', 'The pool was stopped'))
    this.#end('the pool was stopped')
  }

  #end(reason: string): void {
    this.#stopWatching()
    this.#options.port.terminate()
    for (const { finish, keys } of [...this.#running.values()]) finish(lost(reason, keys))
  }

  #receive(message: FromWorker): void {
    this.#lastBeatNs = this.#options.clock.nowNs()
    switch (message.type) {
      case 'ready':
        if (this.#state === 'starting') {
          this.#state = 'ready'
          this.#becameReady()
        }
        break
      case 'unfit':
        if (this.#state === 'starting') {
          this.#state = 'lost'
          this.#end(message.failure.message)
          this.#unfit(
            new PrewarmError(message.failure.code, message.failure.message, { detail: message.failure.detail }),
          )
          this.#options.onLost(this, message.failure.message)
        }
        break
      case 'writing': {
        const running = this.#running.get(message.id)
        if (running !== undefined) running.keys = message.keys
        break
      }
      case 'done':
        this.#running.get(message.id)?.finish({ status: 'done', report: message.report })
        break
      case 'failed':
        this.#running
          .get(message.id)
          ?.finish({ status: 'failed', failure: message.failure, retryable: message.retryable })
        break
      case 'stopped':
        this.#onStopped()
        break
      case 'beat':
        break
    }
  }

  /** A dead worker may take messages in silence: only its own word counts. */
  #watch(): void {
    this.#stopWatching = this.#options.clock.after(BEAT_MS, () => {
      const silentMs = (this.#options.clock.nowNs() - this.#lastBeatNs) / 1e6
      const boundMs = this.#state === 'starting' ? this.#options.readyTimeoutMs : this.#options.silenceMs
      if (silentMs > boundMs) this.lose(`silent for ${Math.round(silentMs)} ms`)
      else this.#watch()
    })
  }

  #say(message: ToWorker): void {
    this.#options.port.post(message)
  }
}

function lost(reason: string, keys: number): BatchEnd {
  return { status: 'lost', failure: { code: 'WORKER_LOST', message: `A worker was lost: ${reason}` }, keys }
}
