import type { Clock } from './clock.ts'
import type { Failure } from './errors.ts'
import type { Lane } from './job/lane.ts'
import type { Unit } from './job/unit.ts'
import type { OriginGuard, Permit } from './origin/guard.ts'
import type { BatchEnd } from './pool/member.ts'
import type { Pool } from './pool/pool.ts'
import { BatchQueue, type Readiness } from './queue/batch-queue.ts'

export interface DispatcherOptions {
  pool: Pool
  guard: OriginGuard
  clock: Clock
  maxOriginRps: number
  backoffBaseMs: number
  /** Streams that may hold a database connection at once. */
  maxOpenStreams: number
  /** Bound on the writing of one batch, ms. */
  storeTimeoutMs: number
  /** Batches in a row that may fail to reach the store before everything queued is given up. */
  maxStoreAway: number
}

/** What the dispatcher needs to know of the job a lane belongs to. */
export interface LaneContext {
  lane: Lane
  traceId: string
  /** Called after each batch, and when the lane has ended. */
  onChange(): void
}

interface Entry extends LaneContext {
  readonly priority: number
  /** Batches on their way, with their workers. */
  sent: Map<number, number>
}

/** What a worker may take beyond the bounds it keeps itself, before it counts as hung, ms. */
const GRACE_MS = 5000

/** Hands the next batch to the pool whenever a worker has a free slot and the origin gives a permit. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #queue = new BatchQueue<Entry>()
  readonly #entries = new Map<Lane, Entry>()
  #nextBatch = 0
  #isAwake = false
  #takeBackWake = () => {}
  #permit: Permit | undefined
  #retryInMs: number | null = null
  /** Batches in a row that could not reach the store. */
  #storeAway = 0

  constructor(options: DispatcherOptions) {
    this.#options = options
    options.pool.onFree(() => this.wake())
  }

  get queued(): number {
    return this.#queue.size
  }

  add(context: LaneContext): void {
    const entry: Entry = { ...context, priority: context.lane.priority, sent: new Map() }
    this.#entries.set(context.lane, entry)
    this.#queue.add(entry)
    this.wake()
  }

  /** Stops a lane: nothing of it begins any more, what is on its way is told to stop before it writes. */
  stop(lane: Lane, failure: Failure): void {
    const entry = this.#entries.get(lane)
    lane.stop(failure)
    for (const [batch, worker] of entry?.sent ?? []) this.#options.pool.cancel(worker, batch)
    this.#afterChange(entry)
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
    this.#retryInMs = null
    for (;;) {
      const entry = this.#queue.next((candidate) => this.#readiness(candidate))
      if (entry === undefined) break
      const permit = this.#permit as Permit
      this.#permit = undefined
      void this.#send(entry, permit)
    }
    if (this.#retryInMs !== null)
      this.#takeBackWake = this.#options.clock.after(Math.max(1, this.#retryInMs), () => this.wake())
  }

  #readiness(entry: Entry): Readiness {
    const { lane } = entry
    if (lane.isEnded) return 'ended'
    const { pool, guard } = this.#options
    const { waitMs } = lane
    if (waitMs === null) return 'waiting'
    if (waitMs > 0) return this.#later(waitMs)
    const worker = lane.nextWorker
    if (worker !== undefined && !pool.hasFreeSlot(worker)) return 'waiting'
    if (!pool.hasFreeSlot()) return 'blocked'
    if (lane.opensStream && this.#openStreams(lane.priority) >= this.#options.maxOpenStreams) return 'waiting'
    const permission = guard.ask(lane.task.name, lane.nextCost)
    if (permission.granted) {
      this.#permit = permission.permit
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

  /** Streams that hold a connection now, of this priority or above: a less important one doesn't keep others from beginning. */
  #openStreams(priority: number): number {
    let open = 0
    for (const lane of this.#entries.keys()) if (lane.priority >= priority && lane.heldStream !== undefined) open++
    return open
  }

  #later(ms: number): Readiness {
    this.#retryInMs = Math.min(this.#retryInMs ?? Number.POSITIVE_INFINITY, ms)
    return 'waiting'
  }

  async #send(entry: Entry, permit: Permit): Promise<void> {
    const { lane, traceId } = entry
    const { pool, maxOriginRps, backoffBaseMs, storeTimeoutMs } = this.#options
    const unit = lane.take()
    const id = this.#nextBatch++
    const { name, timeoutMs, kind } = lane.task
    const requestIntervalMs = kind === 'http' ? 1000 / maxOriginRps : 0
    const readBoundMs = kind === 'http' ? (unit.keys ?? 1) * Math.max(timeoutMs, requestIntervalMs) : timeoutMs + 1000
    const batch = {
      id,
      task: name,
      work: unit.work,
      params: lane.params,
      timeoutMs,
      storeTimeoutMs,
      backoffBaseMs,
      requestIntervalMs,
      traceId,
    }
    const end = await permit.breaker.run(() => {
      const sent = pool.run(batch, readBoundMs + 2 * storeTimeoutMs + GRACE_MS, unit.worker)
      lane.sentTo(unit, sent.worker)
      entry.sent.set(id, sent.worker)
      if (unit.work.kind === 'page') this.wake()
      return sent.end
    }, isOriginDown)
    entry.sent.delete(id)
    permit.release()
    lane.settle(unit, end)
    this.#watchStore(end)
    this.#closeLeftStream(lane, unit, end)
    this.#afterChange(entry)
  }

  /** A store that stays away would cost every batch its whole deadline: after enough of them the work is given up. */
  #watchStore(end: BatchEnd): void {
    if (end.status !== 'done') return
    const isAway =
      end.report.firstError?.code === 'STORE_UNREACHABLE' && end.report.keys.failed === end.report.keys.planned
    this.#storeAway = isAway ? this.#storeAway + 1 : 0
    if (this.#storeAway < this.#options.maxStoreAway) return
    this.#storeAway = 0
    for (const lane of [...this.#entries.keys()]) this.stop(lane, end.report.firstError as Failure)
  }

  /** A stream that was stopped holds a connection in its worker until it is told. */
  #closeLeftStream(lane: Lane, unit: Unit, end: BatchEnd): void {
    if (unit.work.kind !== 'page' || lane.stoppedBy === null || end.status === 'lost') return
    const held = lane.heldStream
    if (held !== undefined) this.#options.pool.closeStream(held.worker, lane.task.name, held.id)
  }

  #afterChange(entry: Entry | undefined): void {
    if (entry === undefined) return
    if (entry.lane.isEnded) this.#entries.delete(entry.lane)
    entry.onChange()
    this.wake()
  }
}

/**
 * What the breaker counts: an origin that is away, too slow, or asks for patience. A wrong query is not the origin's fault.
 * An HTTP batch ends as done even if every request of it failed.
 */
function isOriginDown(end: BatchEnd): boolean {
  const failure = failureOf(end)
  if (failure === null) return false
  if (failure.code === 'ORIGIN_UNREACHABLE' || failure.code === 'ORIGIN_TIMEOUT') return true
  return failure.code === 'ORIGIN_FAILED' && /^(429|5\d\d)$/.test(failure.detail ?? '')
}

function failureOf(end: BatchEnd): Failure | null {
  if (end.status === 'failed') return end.failure
  if (end.status === 'lost') return null
  const { retryKeys, keys, firstError } = end.report
  return retryKeys.length > 0 && keys.planned === 0 ? firstError : null
}
