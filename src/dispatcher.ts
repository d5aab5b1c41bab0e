import type { Clock } from './clock.ts'
import type { Failure } from './errors.ts'
import type { Lane } from './job/lane.ts'
import { type LaneContext, LaneTable } from './job/lane-table.ts'
import type { MemoryGate, Pass } from './job/memory-gate.ts'
import { batchMessage } from './job/message.ts'
import type { Unit } from './job/unit.ts'
import { isOriginDown, seenOf } from './origin/batch-end.ts'
import type { OriginGuard, Permit } from './origin/guard.ts'
import type { BatchEnd } from './pool/member.ts'
import type { Pool } from './pool/pool.ts'
import { StoreWatch } from './pool/store-watch.ts'
import { BatchQueue, type Readiness } from './queue/batch-queue.ts'

/** What may change while it runs. */
export interface DispatcherBounds {
  maxOriginRps: number
  backoffBaseMs: number
  /** Streams that may hold a database connection at once. */
  maxOpenStreams: number
  /** Batches in a row that may fail to reach the store before everything queued is given up. */
  maxStoreAway: number
}

export interface DispatcherOptions extends DispatcherBounds {
  pool: Pool
  guard: OriginGuard
  clock: Clock
  /** Absent: Redis' memory is not looked at. */
  memory?: MemoryGate
  /** Bound on the writing of one batch, ms. */
  storeTimeoutMs: number
  /** How many keys of a batch should be told of one by one. @default none */
  keyEvents?: (keys: number) => number
  /** Told of each batch that has ended. */
  onBatch?: (batch: EndedBatch) => void
}

export interface EndedBatch {
  lane: Lane
  jobId: string
  traceId: string
  worker: number
  end: BatchEnd
  durationNs: number
}

interface Entry extends LaneContext {
  /** Of the lane's next batch. */
  readonly priority: number
  /** Batches on their way, with their workers. */
  sent: Map<number, number>
}

/** What the next batch may be sent with. */
interface Leave {
  permit: Permit
  pass: Pass | undefined
}

/** What a worker that is no longer wanted may take to close its connections, ms. */
const RETIRE_TIMEOUT_MS = 1500
/** How often it is asked at least whether there is room, ms. */
const ROOM_MS = 1000
/** Pause before a batch is sent again that only a newer worker can do, ms. */
const BEHIND_MS = 100

/** Hands the next batch to the pool whenever a worker has a free slot and the origin gives a permit. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #queue = new BatchQueue<Entry>()
  readonly #entries = new LaneTable<Entry>()
  /** Batches on their way, with what settles them. */
  readonly #sending = new Map<number, Promise<void>>()
  readonly #haltedBatches = new Set<number>()
  #isHalted = false
  #nextBatch = 0
  #isAwake = false
  #takeBackWake = () => {}
  #leave: Leave | undefined
  #retryInMs: number | null = null
  readonly #storeWatch = new StoreWatch()

  constructor(options: DispatcherOptions) {
    this.#options = { ...options }
    options.pool.onFree(() => this.wake())
    if (options.memory !== undefined) options.memory.onChange = () => this.#roomChanged()
  }

  get queued(): number {
    return this.#entries.size
  }

  /** Lanes that have not ended, by the priority of their task in the job. */
  get depth(): Map<number, number> {
    return this.#entries.depth
  }

  get isHalted(): boolean {
    return this.#isHalted
  }

  add(context: LaneContext): void {
    const { lane } = context
    const entry: Entry = {
      ...context,
      get priority() {
        return lane.nextPriority
      },
      sent: new Map(),
    }
    this.#entries.set(lane, entry)
    this.#options.memory?.begin(entry.jobId)
    this.#queue.add(entry)
    this.wake()
  }

  /** From the next batch on it goes by these. */
  retune(bounds: DispatcherBounds): void {
    Object.assign(this.#options, bounds)
    this.wake()
  }

  /** Stops a lane: nothing of it begins any more, what is on its way is told to stop before it writes. */
  stop(lane: Lane, failure: Failure): void {
    const entry = this.#entries.get(lane)
    lane.stop(failure)
    for (const [batch, worker] of entry?.sent ?? []) this.#options.pool.cancel(worker, batch)
    this.#afterChange(entry)
  }

  /**
   * Sends nothing more until `resume`, and tells what is on its way to stop before it writes; that is queued again.
   * Resolves when nothing is on its way. Workers that have not answered after `timeoutMs` are ended.
   *
   * @returns `settled`: false if a worker had to be ended, whose last write Redis may still carry out
   */
  async halt(timeoutMs: number): Promise<{ halted: number; settled: boolean }> {
    this.#isHalted = true
    const { pool, clock } = this.#options
    const sent = [...this.#entries.values()].flatMap((entry) => [...entry.sent])
    for (const [batch, worker] of sent) {
      this.#haltedBatches.add(batch)
      pool.cancel(worker, batch)
    }
    const settled = Promise.all(this.#sending.values()).then(() => true)
    const timeout = new AbortController()
    const isSettled = await Promise.race([settled, clock.sleep(timeoutMs, timeout.signal).then(() => false)])
    timeout.abort()
    if (!isSettled) {
      for (const [batch, worker] of sent) if (this.#sending.has(batch)) pool.lose(worker, 'it did not halt')
      await settled
    }
    return { halted: sent.length, settled: isSettled }
  }

  /** Goes on after `halt`. */
  resume(): void {
    this.#isHalted = false
    this.wake()
  }

  /** Looks again for something to send. Cheap to call; runs once for many calls in a row. */
  wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    queueMicrotask(() => {
      this.#isAwake = false
      this.#takeBackWake()
      this.#run()
    })
  }

  #run(): void {
    this.#options.pool.endRetired((worker) => this.#entries.holdsStream(worker), RETIRE_TIMEOUT_MS)
    this.#retryInMs = null
    while (!this.#isHalted) {
      const entry = this.#queue.next((candidate) => this.#readiness(candidate))
      if (entry === undefined) break
      const leave = this.#leave as Leave
      this.#leave = undefined
      this.#send(entry, leave)
    }
    if (this.#retryInMs !== null)
      this.#takeBackWake = this.#options.clock.after(Math.max(1, this.#retryInMs), () => this.wake())
  }

  #readiness(entry: Entry): Readiness {
    const { lane } = entry
    if (lane.isEnded) return 'ended'
    const { pool, guard, memory } = this.#options
    const { waitMs } = lane
    if (waitMs === null) return 'waiting'
    if (waitMs > 0) return this.#later(waitMs)
    const worker = lane.nextWorker
    if (worker !== undefined && !pool.hasFreeSlot(worker)) return 'waiting'
    if (!pool.hasFreeSlot()) return 'blocked'
    if (lane.opensStream && this.#entries.openStreams(lane.priority) >= this.#options.maxOpenStreams) return 'waiting'
    const pass = memory?.ask(lane)
    if (typeof pass === 'string') {
      if (lane.isEnded) this.#afterChange(entry)
      // Whoever is waited for tells; should that be missed, nothing hangs.
      else this.#later(ROOM_MS)
      return lane.isEnded ? 'ended' : pass
    }
    const permission = guard.ask(lane.task.name, lane.nextCost)
    if (permission.granted) {
      this.#leave = { permit: permission.permit, pass }
      return 'ready'
    }
    if ('gone' in permission) {
      this.stop(lane, {
        code: 'ORIGIN_UNREACHABLE',
        message: `The origin of task '${lane.task.name}' stays away: gave up`,
      })
      return lane.isEnded ? 'ended' : 'waiting'
    }
    if (permission.retryInMs === null) return 'blocked'
    this.#later(permission.retryInMs)
    return permission.isShared ? 'blocked' : 'waiting'
  }

  #later(ms: number): Readiness {
    this.#retryInMs = Math.min(this.#retryInMs ?? Number.POSITIVE_INFINITY, ms)
    return 'waiting'
  }

  #send(entry: Entry, leave: Leave): void {
    const unit = leave.pass?.take() ?? entry.lane.take()
    const id = this.#nextBatch++
    const sending = this.#sendUnit(entry, leave, unit, id).finally(() => this.#sending.delete(id))
    this.#sending.set(id, sending)
  }

  async #sendUnit(entry: Entry, { permit, pass }: Leave, unit: Unit, id: number): Promise<void> {
    const { lane } = entry
    const { pool, clock, maxOriginRps, backoffBaseMs, storeTimeoutMs, keyEvents } = this.#options
    const settings = { id, traceId: entry.traceId, maxOriginRps, backoffBaseMs, storeTimeoutMs, keyEvents }
    const { batch, boundMs } = batchMessage(lane, unit, settings)
    const startNs = clock.nowNs()
    let worker = -1
    const end = await permit.breaker.run(() => {
      const sent = pool.run(batch, boundMs, unit.worker)
      worker = sent.worker
      lane.sentTo(unit, worker)
      entry.sent.set(id, worker)
      if (unit.work.kind === 'page') this.wake()
      return sent.end
    }, isOriginDown)
    const durationNs = clock.nowNs() - startNs
    entry.sent.delete(id)
    permit.release(seenOf(end, durationNs))
    if (this.#haltedBatches.delete(id)) this.#settleHalted(lane, unit, end)
    else if (this.#isBehind(worker, end)) lane.settleHalted(unit, end, BEHIND_MS)
    else lane.settle(unit, end)
    pass?.end(end)
    this.#watchStore(end)
    this.#options.onBatch?.({ lane, jobId: entry.jobId, traceId: entry.traceId, worker, end, durationNs })
    this.#afterChange(entry)
  }

  /** A worker that is being replaced may not know a task of the configuration that was loaded: its successor does. */
  #isBehind(worker: number, end: BatchEnd): boolean {
    return end.status === 'failed' && end.failure.code === 'TASK_UNKNOWN' && this.#options.pool.isRetiring(worker)
  }

  /** A halted page may have left its cursor open; its stream begins anew. */
  #settleHalted(lane: Lane, unit: Unit, end: BatchEnd): void {
    const held = lane.heldStream
    lane.settleHalted(unit, end)
    if (held !== undefined && lane.heldStream?.id !== held.id)
      this.#options.pool.closeStream(held.worker, lane.task.name, held.id)
  }

  /** A store that stays away would cost every batch its whole deadline: after enough of them the work is given up. */
  #watchStore(end: BatchEnd): void {
    const away = this.#storeWatch.see(end, this.#options.maxStoreAway)
    if (away !== null) for (const lane of [...this.#entries.keys()]) this.stop(lane, away)
  }

  /** A stream that was not read to its end holds a connection in its worker until it is told. */
  #closeHeldStream(lane: Lane): void {
    const held = lane.heldStream
    if (held !== undefined) this.#options.pool.closeStream(held.worker, lane.task.name, held.id)
  }

  /** What Redis has no room for may have ended lanes. */
  #roomChanged(): void {
    for (const entry of [...this.#entries.values()]) if (entry.lane.isEnded) this.#afterChange(entry)
    this.wake()
  }

  #afterChange(entry: Entry | undefined): void {
    if (entry === undefined) return
    if (entry.lane.isEnded && this.#entries.delete(entry.lane)) this.#closeHeldStream(entry.lane)
    entry.onChange()
    this.wake()
  }
}
