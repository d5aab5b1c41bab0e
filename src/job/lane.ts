import type { Task } from '../config/task.ts'
import type { ErrorCode, Failure } from '../errors.ts'
import { backoffMs } from '../origin/backoff.ts'
import type { RowRange } from '../origin/types.ts'
import type { BatchEnd } from '../pool/member.ts'
import type { Claim } from '../queue/in-flight.ts'
import type { Params, TaskProgress } from '../types.ts'
import { PastTries } from './past-tries.ts'
import { plannedKeys, type TaskPlan } from './plan.ts'
import { Retries } from './retries.ts'
import { Tally } from './tally.ts'
import type { LaneOptions, Unit } from './unit.ts'

/** Pages of a stream that may be on their way at once: one is read while others are written. */
const STREAM_WINDOW = 3

interface Stream {
  id: string
  worker: number | undefined
  limit: number | null
  isDone: boolean
}

/** One task within one job: gives its batches one after the other and accounts for each of its keys. */
export class Lane {
  /** Both may be changed: the next batch goes by them. */
  task: Task
  batchSize: number
  readonly priority: number
  readonly params: Params
  readonly options: LaneOptions
  tally = new Tally()
  readonly startNs: number
  endNs: number | undefined
  /** Keys that another job had already. */
  deduplicated = 0
  /** What it holds in the in-flight register, to be released at the end. */
  claim: Claim | undefined
  stoppedBy: ErrorCode | null = null

  readonly #retries: Retries
  #plan: TaskPlan | undefined
  #keys: string[] = []
  #keysAt = 0
  #ranges: { range: RowRange; rows: number }[] = []
  #stream: Stream | undefined
  #streamNumber = 0
  #streamTries = 0
  readonly #past = new PastTries()
  #notBeforeNs = 0
  #outstanding = 0

  constructor(options: LaneOptions) {
    this.task = options.task
    this.priority = options.priority
    this.params = options.params
    this.batchSize = options.batchSize
    this.options = options
    this.#retries = new Retries(options.clock)
    this.startNs = options.clock.nowNs()
  }

  open(plan: TaskPlan): void {
    if (this.stoppedBy !== null) return
    this.#plan = plan
    if (plan.kind === 'keys') {
      this.#keys = plan.keys
      for (const failure of plan.failures) this.tally.give('failed', 1, failure)
    } else if (plan.kind === 'ranges') this.#ranges = [...plan.ranges].reverse()
    else this.#openStream()
    this.#checkEnd()
  }

  /** The task could not even be planned. */
  fail(failure: Failure): void {
    if (this.stoppedBy !== null) return
    this.#plan ??= { kind: 'keys', keys: [], failures: [] }
    this.tally.break(failure)
    this.#checkEnd()
  }

  get isEnded(): boolean {
    return this.endNs !== undefined
  }

  /** Requests to the origin that the next batch would make. */
  get nextCost(): number {
    if (this.task.kind !== 'http') return 1
    return Math.max(1, this.#retries.due?.keys ?? Math.min(this.batchSize, this.#keys.length - this.#keysAt))
  }

  /** ms until it can give a batch: 0 now, null when only an answer can bring one. */
  get waitMs(): number | null {
    if (this.isEnded || this.#plan === undefined) return null
    const ofRetry = this.#retries.waitMs
    if (!this.#hasFresh()) return ofRetry
    const ofFresh = Math.max(0, (this.#notBeforeNs - this.options.clock.nowNs()) / 1e6)
    return ofRetry === null ? ofFresh : Math.min(ofFresh, ofRetry)
  }

  /** The next batch would open a stream, which holds a database connection until it has ended. */
  get opensStream(): boolean {
    return this.#stream !== undefined && !this.#stream.isDone && this.#stream.worker === undefined
  }

  /** The worker that the next batch must go to. */
  get nextWorker(): number | undefined {
    const due = this.#retries.due
    return due === undefined ? this.#stream?.worker : due.worker
  }

  /** Takes the next batch; ask `waitMs` first. */
  take(): Unit {
    this.#outstanding++
    if (this.#retries.due !== undefined) return this.#retries.shift() as Unit
    this.#notBeforeNs = this.options.clock.nowNs() + this.options.batchDelayMs * 1e6
    if (this.#stream !== undefined) {
      const { id, worker, limit } = this.#stream
      return { work: { kind: 'page', stream: id, rows: this.batchSize, limit }, attempt: 0, keys: null, worker }
    }
    const range = this.#ranges.pop()
    if (range !== undefined)
      return { work: { kind: 'range', range: range.range }, attempt: 0, keys: range.rows, worker: undefined }
    const keys = this.#keys.slice(this.#keysAt, this.#keysAt + this.batchSize)
    this.#keysAt += keys.length
    return { work: { kind: 'keys', keys }, attempt: 0, keys: keys.length, worker: undefined }
  }

  /** The worker that took the stream's first page holds its cursor from then on. */
  sentTo(unit: Unit, worker: number): void {
    if (unit.work.kind === 'page' && this.#stream?.id === unit.work.stream) this.#stream.worker = worker
  }

  /** Accounts for a batch that has ended. */
  settle(unit: Unit, end: BatchEnd): void {
    this.#outstanding--
    if (unit.work.kind === 'page') this.#settlePage(unit.work.stream, end)
    else if (end.status === 'done') {
      this.tally.add(end.report)
      const { retryKeys, retryAfterMs, firstError } = end.report
      if (retryKeys.length > 0) {
        const again = { ...unit, work: { kind: 'keys', keys: retryKeys } as const, keys: retryKeys.length }
        if (retryAfterMs === undefined) this.#again(again, firstError as Failure, 0)
        else this.#putBack(again, retryAfterMs, firstError as Failure)
      }
    } else {
      const mayPass = end.status === 'lost' || end.retryable
      const keysWriting = end.status === 'lost' ? end.keys : 0
      if (mayPass) this.#again(unit, end.failure, keysWriting)
      else this.#giveUp(unit.keys ?? 0, end.failure, Math.max(unit.maybeWritten ?? 0, keysWriting))
    }
    this.#checkEnd()
  }

  /** Accounts for a batch that was told to halt: what it did not do waits to be sent again, and no try is counted. */
  settleHalted(unit: Unit, end: BatchEnd, pauseMs = 0): void {
    const isDone = end.status === 'done' && end.report.retryKeys.length === 0
    if (isDone || this.stoppedBy !== null) {
      this.settle(unit, end)
      return
    }
    this.#outstanding--
    if (unit.work.kind === 'page') this.#haltStream(unit.work.stream, end, pauseMs)
    else if (end.status === 'done') {
      this.tally.add(end.report)
      const { retryKeys, firstError } = end.report
      const again = { ...unit, work: { kind: 'keys', keys: retryKeys } as const, keys: retryKeys.length }
      this.#putBack(again, 0, firstError as Failure)
    } else {
      const maybeWritten = Math.max(unit.maybeWritten ?? 0, end.status === 'lost' ? end.keys : 0)
      this.#putBack({ ...unit, maybeWritten }, pauseMs, end.failure)
    }
    this.#checkEnd()
  }

  /** Takes no further batch; what was not begun has failed with `failure`. Batches on their way still count. */
  stop(failure: Failure): void {
    if (this.isEnded || this.stoppedBy !== null) return
    this.stoppedBy = failure.code
    if (this.#plan === undefined) this.tally.break(failure)
    this.#plan ??= { kind: 'keys', keys: [], failures: [] }
    let left = this.#keys.length - this.#keysAt
    for (const { rows } of this.#ranges) left += rows
    for (const unit of this.#retries.clear()) this.#giveUp(unit.keys ?? 0, failure, unit.maybeWritten ?? 0)
    this.#keysAt = this.#keys.length
    this.#ranges = []
    if (this.#stream !== undefined && !this.#stream.isDone) {
      this.#stream.isDone = true
      this.tally.break(failure)
    }
    this.#giveUp(left, failure, 0)
    this.tally.firstError ??= failure
    this.#checkEnd()
  }

  /** The stream whose cursor some worker holds, if there is one. */
  get heldStream(): { id: string; worker: number } | undefined {
    const { id, worker } = this.#stream ?? {}
    return id === undefined || worker === undefined ? undefined : { id, worker }
  }

  progress(): TaskProgress {
    const { keys } = this.tally
    const plan = this.#plan
    const seconds = ((this.endNs ?? this.options.clock.nowNs()) - this.startNs) / 1e9
    const known = plannedKeys(plan)
    return {
      task: this.task.name,
      done: keys.planned,
      total: this.isEnded ? keys.planned : known === null ? null : Math.max(known, keys.planned),
      estimated: !this.isEnded && plan?.kind === 'stream',
      failed: keys.failed,
      keysPerSecond: seconds > 0 ? keys.planned / seconds : 0,
      finished: this.isEnded,
    }
  }

  #settlePage(stream: string, end: BatchEnd): void {
    const isCurrent = this.#stream?.id === stream
    const tally = isCurrent ? this.tally : this.#past.of(stream)
    if (tally === undefined || this.#stream === undefined) return
    if (end.status === 'done') {
      tally.add(end.report)
      tally.give('failed', end.report.retryKeys.length, end.report.firstError as Failure)
      if (isCurrent && end.report.done) this.#stream.isDone = true
      return
    }
    if (end.status === 'lost') tally.give('unknown', end.keys, end.failure)
    if (!isCurrent || (end.status === 'failed' && (this.stoppedBy !== null || tally.isBroken))) return
    const mayPass = end.status === 'lost' || end.retryable
    if (mayPass && this.stoppedBy === null && this.#streamTries < this.task.retries) {
      this.#restartStream(stream, this.#pauseMs(this.#streamTries++))
      return
    }
    this.#stream.isDone = true
    tally.break(end.failure)
  }

  /** A halted stream has lost its cursor: it begins anew, and so does its count. */
  #haltStream(stream: string, end: BatchEnd, pauseMs: number): void {
    const isCurrent = this.#stream?.id === stream
    const tally = isCurrent ? this.tally : this.#past.of(stream)
    if (end.status === 'done') tally?.add(end.report)
    else if (end.status === 'lost') tally?.give('unknown', end.keys, end.failure)
    if (isCurrent) this.#restartStream(stream, pauseMs)
  }

  /** The rows are read once more, so the new try counts from nothing; should it get less far, the old one's count holds. */
  #restartStream(stream: string, pauseMs: number): void {
    this.#past.add(stream, this.tally)
    this.tally = new Tally()
    this.#notBeforeNs = this.options.clock.nowNs() + pauseMs * 1e6
    this.#openStream()
  }

  #openStream(): void {
    const id = `${this.task.name}#${this.#streamNumber++}@${this.startNs}`
    const limit = this.#plan?.kind === 'stream' ? this.#plan.limit : null
    this.#stream = { id, worker: undefined, limit, isDone: false }
  }

  #again(unit: Unit, failure: Failure, keysWriting: number): void {
    const maybeWritten = Math.max(unit.maybeWritten ?? 0, keysWriting)
    if (unit.attempt >= this.task.retries) this.#giveUp(unit.keys ?? 0, failure, maybeWritten)
    else this.#putBack({ ...unit, attempt: unit.attempt + 1, maybeWritten }, this.#pauseMs(unit.attempt), failure)
  }

  #putBack(unit: Unit, pauseMs: number, failure: Failure): void {
    if (this.stoppedBy !== null) this.#giveUp(unit.keys ?? 0, failure, unit.maybeWritten ?? 0)
    else this.#retries.add(unit, pauseMs)
  }

  /** A lost worker may have written what it was writing; the rest surely was not. */
  #giveUp(keys: number, failure: Failure, keysWriting: number): void {
    const unknown = Math.min(keys, keysWriting)
    this.tally.give('unknown', unknown, failure)
    this.tally.give('failed', keys - unknown, failure)
  }

  #pauseMs(attempt: number): number {
    return backoffMs(attempt, this.options.backoffBaseMs, this.options.random)
  }

  #hasFresh(): boolean {
    if (this.stoppedBy !== null) return false
    if (this.#stream !== undefined) {
      if (this.#stream.isDone) return false
      // Before the first page has found its worker there is nobody to send a second one to.
      return this.#outstanding < (this.#stream.worker === undefined ? 1 : STREAM_WINDOW)
    }
    return this.#ranges.length > 0 || this.#keysAt < this.#keys.length
  }

  #checkEnd(): void {
    if (this.isEnded || this.#plan === undefined || this.#outstanding > 0 || this.#retries.size > 0) return
    if (this.#stream !== undefined ? !this.#stream.isDone : this.#hasFresh()) return
    this.tally = this.#past.settle(this.tally)
    this.endNs = this.options.clock.nowNs()
  }
}
