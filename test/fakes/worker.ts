import type { BatchReport } from '../../src/batch.ts'
import type { Clock } from '../../src/clock.ts'
import type { Failure } from '../../src/errors.ts'
import {
  type BatchMessage,
  BEAT_MS,
  type FromWorker,
  type ToWorker,
  type WorkerSetup,
} from '../../src/pool/protocol.ts'
import type { WorkerPort } from '../../src/runtime/types.ts'

/** How a worker behaves; by default it becomes ready, beats, finishes each batch and stops when asked. */
export interface Behaviour {
  /** `'ready'`, `'silent'` (never answers), or what keeps it from working. */
  setup?: 'ready' | 'silent' | Failure
  /** Called with each batch. */
  batch?: (batch: BatchMessage, worker: FakeWorker) => void
  stop?: 'obey' | 'ignore'
  /** Whether it says that it lives. */
  beats?: boolean
}

export const SETUP: WorkerSetup = {
  configFile: '',
  redisUrl: 'redis://fake',
  databaseUrl: undefined,
  slots: 2,
  env: {},
  maxConnections: 2,
}

/** The other end of a worker's port, played by a test. */
export class FakeWorker {
  readonly received: ToWorker[] = []
  terminated = 0
  readonly port: WorkerPort
  readonly #clock: Clock
  readonly #behaviour: Behaviour
  readonly #listeners: ((message: unknown) => void)[] = []
  readonly #exits: ((reason: string) => void)[] = []
  #takeBackBeat = () => {}

  constructor(clock: Clock, behaviour: Behaviour = {}) {
    this.#clock = clock
    this.#behaviour = behaviour
    this.port = {
      post: (message) => {
        const received = structuredClone(message) as ToWorker
        queueMicrotask(() => this.terminated === 0 && this.#receive(received))
      },
      onMessage: (listener) => void this.#listeners.push(listener),
      onExit: (listener) => void this.#exits.push(listener),
      terminate: () => {
        this.terminated++
        this.fallSilent()
      },
    }
  }

  say(message: FromWorker): void {
    if (this.terminated === 0) for (const listener of this.#listeners) listener(message)
  }

  done(batch: BatchMessage, report: Partial<BatchReport> = {}): void {
    this.say({ type: 'done', id: batch.id, report: reportOf(keysOf(batch), report) })
  }

  /** Stops beating; a dead worker takes messages all the same. */
  fallSilent(): void {
    this.#takeBackBeat()
  }

  exit(reason: string): void {
    this.fallSilent()
    for (const listener of this.#exits) listener(reason)
  }

  /** The batches it was given. */
  get batches(): BatchMessage[] {
    return this.received.flatMap((message) => (message.type === 'batch' ? [message.batch] : []))
  }

  #receive(message: ToWorker): void {
    this.received.push(message)
    const { setup = 'ready', stop = 'obey', batch = (one) => this.done(one), beats = true } = this.#behaviour
    if (message.type === 'setup') {
      if (setup === 'ready') this.say({ type: 'ready' })
      else if (setup !== 'silent') this.say({ type: 'unfit', failure: setup })
      if (beats && setup === 'ready') this.#beat()
    } else if (message.type === 'batch') batch(message.batch, this)
    else if (message.type === 'stop' && stop === 'obey') {
      this.fallSilent()
      this.say({ type: 'stopped' })
    }
  }

  #beat(): void {
    this.#takeBackBeat = this.#clock.after(BEAT_MS, () => {
      this.say({ type: 'beat' })
      this.#beat()
    })
  }
}

export function keysOf({ work }: BatchMessage): number {
  return work.kind === 'keys' ? work.keys.length : work.kind === 'page' ? work.rows : 0
}

/** A batch of which everything was written. */
export function reportOf(keys: number, more: Partial<BatchReport> = {}): BatchReport {
  const counts = { planned: keys, written: keys, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
  const rest = {
    retryKeys: [],
    firstError: null,
    sample: [],
    outcomes: [],
    done: true,
    originRequests: 1,
    readNs: 1000,
    writeNs: 1000,
  }
  return { keys: counts, ...rest, ...more }
}

export function batchOf(id: number, keys: readonly string[] = ['k:1'], more: Partial<BatchMessage> = {}): BatchMessage {
  const bounds = { timeoutMs: 5000, storeTimeoutMs: 5000, backoffBaseMs: 100, requestIntervalMs: 0 }
  return {
    ttlMs: 3_600_000,
    retries: 3,
    keyEvents: 0,
    id,
    task: 'one',
    work: { kind: 'keys', keys },
    params: {},
    ...bounds,
    traceId: '1'.repeat(32),
    ...more,
  }
}
