import type { Task } from '../../src/config/task.ts'
import { Dispatcher, type DispatcherOptions } from '../../src/dispatcher.ts'
import { Lane } from '../../src/job/lane.ts'
import type { TaskPlan } from '../../src/job/plan.ts'
import type { LaneOptions } from '../../src/job/unit.ts'
import { OriginGuard } from '../../src/origin/guard.ts'
import type { BatchMessage } from '../../src/pool/protocol.ts'
import { FakeClock, turn } from './clock.ts'
import { fakePool } from './pool.ts'
import { keys, loadTask } from './tasks.ts'
import { type Behaviour, type FakeWorker, SETUP } from './worker.ts'

export interface DeskOptions extends Partial<Omit<DispatcherOptions, 'clock'>> {
  clock?: FakeClock
  /** Batches that the only worker takes at once. */
  slots?: number
  /** Requests a second that the origin bears, and batches at once. */
  maxRps?: number
  maxConcurrent?: number
  batch?: Behaviour['batch']
  /** How long the worker takes for a batch before it does that. */
  takesMs?: number
}

export const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

/** A dispatcher over a pool of one worker that a test plays; without `batch` it keeps what it gets. */
export class Desk {
  readonly clock: FakeClock
  readonly lanes: Lane[] = []
  /** How often each task was told of a change. */
  readonly changes: Record<string, number> = {}
  readonly #options: DeskOptions
  dispatcher!: Dispatcher
  worker!: FakeWorker

  constructor(options: DeskOptions = {}) {
    this.#options = options
    this.clock = options.clock ?? new FakeClock()
  }

  async start(): Promise<this> {
    const { slots = 2, maxRps = 1_000_000, maxConcurrent = 100, batch = () => {}, takesMs = 0, ...more } = this.#options
    const { clock } = this
    const answer: Behaviour['batch'] = (one, worker) =>
      takesMs === 0 ? batch(one, worker) : void clock.after(takesMs, () => batch(one, worker))
    const { pool, workers } = fakePool(clock, [{ batch: answer }], { setup: { ...SETUP, slots } })
    await clock.until(pool.start())
    this.worker = workers[0] as FakeWorker
    const guard = new OriginGuard({ maxRps, maxConcurrent, clock })
    const bounds = {
      maxOriginRps: maxRps,
      backoffBaseMs: 100,
      maxOpenStreams: 1,
      storeTimeoutMs: 5000,
      maxStoreAway: 4,
    }
    this.dispatcher = new Dispatcher({ pool, guard, clock, ...bounds, ...more })
    return this
  }

  /** Adds a lane of 10 keys a batch, or of what `plan` says. */
  add(name: string, count: number, { plan, ...more }: Partial<LaneOptions> & { plan?: TaskPlan } = {}): Lane {
    const task: Task = { ...(more.task ?? loadTask()), name }
    const base = { priority: 0, params: {}, batchSize: 10, batchDelayMs: 0, backoffBaseMs: 100, random: () => 0.5 }
    const lane = new Lane({ ...base, clock: this.clock, ...more, task })
    lane.open(plan ?? { kind: 'keys', keys: keys(count), failures: [] })
    this.lanes.push(lane)
    const onChange = () => {
      this.changes[name] = (this.changes[name] ?? 0) + 1
    }
    this.dispatcher.add({ lane, jobId: 'job-1', traceId, onChange })
    return lane
  }

  /** The tasks of the batches that the worker got, in order. */
  async sent(): Promise<string[]> {
    await turn()
    return this.worker.batches.map(({ task }) => task)
  }

  /** The worker finishes the oldest batch of `task` that it still has. */
  async finish(task: string): Promise<void> {
    await turn()
    const at = this.#open.findIndex((batch) => batch.task === task)
    const [batch] = this.#open.splice(at, at === -1 ? 0 : 1)
    if (batch === undefined) throw new Error(`the worker has no batch of ${task}`)
    this.worker.done(batch)
    await turn()
  }

  #seen = 0
  readonly #waiting: BatchMessage[] = []
  get #open(): BatchMessage[] {
    this.#waiting.push(...this.worker.batches.slice(this.#seen))
    this.#seen = this.worker.batches.length
    return this.#waiting
  }
}

export function desk(options: DeskOptions = {}): Promise<Desk> {
  return new Desk(options).start()
}
