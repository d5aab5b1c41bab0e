import type { Clock } from '../clock.ts'
import { type Failure, PrewarmError, toFailure } from '../errors.ts'
import type { WorkerPort } from '../runtime/types.ts'
import { type BatchEnd, type CurrentBatch, Member } from './member.ts'
import type { BatchMessage, WorkerSetup } from './protocol.ts'

export interface PoolOptions {
  size: number
  clock: Clock
  setup: WorkerSetup
  startWorker(id: number): WorkerPort
  /** Pause between two starts, ms. @default 20 */
  staggerMs?: number
  /** @default 15_000 */
  readyTimeoutMs?: number
  /** Silence after which a worker counts as dead, ms. @default 10_000 */
  silenceMs?: number
  /** Told of each worker that was lost. */
  onLost?(reason: string): void
}

/** Starts in a row that may fail, with no worker left alive, before the pool gives up. */
const MAX_FAILED_STARTS = 3
/** Longest pause before a lost worker is replaced. */
const MAX_PAUSE_MS = 5000

/** A worker as `status` tells of it. */
export interface MemberStatus {
  id: number
  state: 'starting' | 'ready'
  running: number
  current: CurrentBatch | null
}

/** A number of workers; one that dies or hangs is replaced. */
export class Pool {
  readonly #options: Required<Omit<PoolOptions, 'onLost'>> & Pick<PoolOptions, 'onLost'>
  #size: number
  #setup: WorkerSetup
  readonly #members = new Map<number, Member>()
  readonly #listeners = new Set<() => void>()
  readonly #replacements = new Set<() => void>()
  readonly #ending = new Set<Promise<void>>()
  #nextId = 0
  #failedStarts = 0
  #broken: Failure | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(options: PoolOptions) {
    this.#options = { staggerMs: 20, readyTimeoutMs: 15_000, silenceMs: 10_000, ...options }
    this.#size = options.size
    this.#setup = options.setup
  }

  /**
   * Starts every worker and waits until the first is ready. Safe to call twice.
   *
   * @throws {PrewarmError} what kept the first worker from starting, such as `STORE_UNREACHABLE` or `CONFIG_INVALID`
   */
  start(): Promise<void> {
    this.#starting ??= (async () => {
      if (this.#stopping !== undefined) throw new PrewarmError('STOPPED', 'The pool was stopped')
      this.#failedStarts = 0
      this.#broken = undefined
      const first = [...this.#members.values()][0] ?? this.#add()
      await first.ready
      void this.#fill()
    })().catch((error) => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  async #fill(): Promise<void> {
    while (this.#active().length < this.#size) {
      if (this.#stopping !== undefined || this.#broken !== undefined) return
      this.#add()
      await this.#options.clock.sleep(this.#options.staggerMs)
    }
  }

  /** True if `run` would start a batch now; with `worker`, on that one. A broken pool is free: it fails at once. */
  hasFreeSlot(worker?: number): boolean {
    if (this.#broken !== undefined) return true
    if (worker !== undefined) return !this.#members.has(worker) || (this.#members.get(worker)?.freeSlots ?? 0) > 0
    return this.#pick() !== undefined
  }

  /** Calls `listener` whenever a slot may have become free. */
  onFree(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Runs a batch on the worker with the most free slots, or on `worker`. Never rejects, never hangs. */
  run(batch: BatchMessage, deadlineMs: number, worker?: number): { worker: number; end: Promise<BatchEnd> } {
    const member = worker === undefined ? this.#pick() : this.#members.get(worker)
    if (member === undefined) {
      const failure = this.#broken ?? { code: 'WORKER_LOST', message: 'The worker that held the stream is gone' }
      return { worker: worker ?? -1, end: Promise.resolve({ status: 'lost', failure, keys: 0 }) }
    }
    const end = member.run(batch, deadlineMs).finally(() => this.#freed())
    return { worker: member.id, end }
  }

  cancel(worker: number, batch: number): void {
    this.#members.get(worker)?.cancel(batch)
  }

  closeStream(worker: number, task: string, stream: string): void {
    this.#members.get(worker)?.closeStream(task, stream)
  }

  /** Ends a worker that does not answer; its batches end as lost. */
  lose(worker: number, reason: string): void {
    this.#members.get(worker)?.lose(reason)
  }

  /** Grows or shrinks to `size` workers of `slots` batches each. Who is no longer wanted finishes what it has first. */
  resize(size: number, slots: number): void {
    this.#size = size
    this.#setup = { ...this.#setup, slots }
    for (const member of this.#members.values()) member.slots = slots
    for (const member of this.#active().slice(size)) member.isRetiring = true
    if (this.#starting !== undefined) void this.#starting.then(() => this.#fill()).catch(() => {})
    this.#freed()
  }

  /** Replaces every worker by one with this setup; the old ones finish what they have first. */
  replace(setup: WorkerSetup): void {
    this.#setup = setup
    for (const member of this.#members.values()) member.isRetiring = true
    this.#broken = undefined
    if (this.#starting !== undefined) void this.#starting.then(() => this.#fill()).catch(() => {})
  }

  /** True if a worker gets nothing new any more, or is gone. */
  isRetiring(worker: number): boolean {
    return this.#members.get(worker)?.isRetiring ?? true
  }

  /** Ends workers that are no longer wanted and have nothing left. `isNeeded`: something waits that only it can do. */
  endRetired(isNeeded: (worker: number) => boolean, timeoutMs: number): void {
    // Until a new one can take over, the old ones go on.
    if (!this.#active().some((member) => member.isReady)) return
    for (const member of [...this.#members.values()]) {
      if (!member.isRetiring || member.running > 0 || isNeeded(member.id)) continue
      this.#members.delete(member.id)
      const ended = member.stop(timeoutMs).finally(() => this.#ending.delete(ended))
      this.#ending.add(ended)
    }
  }

  status(): MemberStatus[] {
    return [...this.#members.values()].map(({ id, isReady, running, current }) => ({
      id,
      state: isReady ? 'ready' : 'starting',
      running,
      current,
    }))
  }

  /** Ends every worker within `timeoutMs`; batches still on their way end as lost. Safe to call twice. */
  stop(timeoutMs: number): Promise<void> {
    this.#stopping ??= (async () => {
      for (const takeBack of this.#replacements) takeBack()
      await Promise.all([...[...this.#members.values()].map((member) => member.stop(timeoutMs)), ...this.#ending])
      this.#members.clear()
    })()
    return this.#stopping
  }

  #pick(): Member | undefined {
    const active = this.#active()
    const able = active.some((member) => member.isReady) ? active : this.#members.values()
    let best: Member | undefined
    for (const member of able) if (member.freeSlots > (best?.freeSlots ?? 0)) best = member
    return best
  }

  #active(): Member[] {
    return [...this.#members.values()].filter((member) => !member.isRetiring)
  }

  #add(): Member {
    const id = this.#nextId++
    const setup = this.#setup
    const { startWorker, clock, readyTimeoutMs, silenceMs } = this.#options
    const onLost = (lost: Member, reason: string) => this.#replace(lost, reason)
    const member = new Member({ id, port: startWorker(id), setup, clock, readyTimeoutMs, silenceMs, onLost })
    this.#members.set(id, member)
    member.ready.then(
      () => {
        this.#failedStarts = 0
        this.#broken = undefined
        this.#freed()
      },
      (error) => {
        this.#failedStarts++
        const someoneLives = [...this.#members.values()].some((one) => one.isReady)
        if (this.#failedStarts >= MAX_FAILED_STARTS && !someoneLives) this.#broken = toFailure(error)
        this.#freed()
      },
    )
    return member
  }

  #replace(lost: Member, reason: string): void {
    this.#members.delete(lost.id)
    this.#options.onLost?.(reason)
    const pauseMs = Math.min(MAX_PAUSE_MS, this.#options.staggerMs * 2 ** this.#failedStarts)
    if (this.#stopping !== undefined || lost.isRetiring) return
    const takeBack = this.#options.clock.after(pauseMs, () => {
      this.#replacements.delete(takeBack)
      // One that has given up before it ever worked is started again by who asks; any other goes on trying.
      const isWanted = this.#stopping === undefined && (this.#broken === undefined || this.#starting !== undefined)
      if (isWanted && this.#active().length < this.#size) this.#add()
    })
    this.#replacements.add(takeBack)
  }

  #freed(): void {
    for (const listener of this.#listeners) listener()
  }
}
