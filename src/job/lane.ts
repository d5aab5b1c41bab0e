import type { Task } from '../config/task.ts'
import type { ErrorCode, Failure } from '../errors.ts'
import { backoffMs } from '../origin/backoff.ts'
import type { BatchEnd } from '../pool/member.ts'
import type { Claim } from '../queue/in-flight.ts'
import type { Params, TaskProgress } from '../types.ts'
import { PageStream } from './page-stream.ts'
import { plannedKeys, type TaskPlan } from './plan.ts'
import { progressOf } from './progress.ts'
import { Retries } from './retries.ts'
import { Supply } from './supply.ts'
import { Tally } from './tally.ts'
import type { LaneOptions, Unit } from './unit.ts'

const MAYBE_WRITTEN: Failure = {
  code: 'WRITE_UNCONFIRMED',
  message: 'A worker was lost while it wrote, and Redis has no room to write once more',
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
  /** Keys that the strategy did not choose. */
  notChosen = 0
  /** The rest of a stream was left out: nobody has counted it. */
  isCut = false
  /** What it holds in the in-flight register, to be released at the end. */
  claim: Claim | undefined
  stoppedBy: ErrorCode | null = null

  readonly #retries: Retries
  #plan: TaskPlan | undefined
  readonly #supply = new Supply()
  #stream: PageStream | undefined
  #notBeforeNs = 0
  #outstanding = 0
  #leftOut = 0

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
    this.#supply.add(plan)
    if (plan.kind === 'keys') for (const failure of plan.failures) this.tally.give('failed', 1, failure)
    if (plan.kind === 'stream') {
      const nameOf = (number: number) => `${this.task.name}#${number}@${this.startNs}`
      this.#stream = new PageStream({ nameOf, limit: plan.limit, lane: this })
    }
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
    return Math.max(1, this.#retries.due?.keys ?? this.#supply.next(this.batchSize))
  }

  /** Of the next batch: larger runs first. A batch that is sent again keeps what it had. */
  get nextPriority(): number {
    return this.#retries.due?.priority ?? this.#supply.priority ?? this.priority
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

  /** Keys of the next batch; rows, of a query. */
  get nextSize(): number {
    if (this.#stream !== undefined) return this.batchSize
    return this.#retries.due?.keys ?? this.#supply.next(this.batchSize)
  }

  /** Keys that were not warmed for lack of room; of a stream that was cut, as many as the database guessed. */
  get leftOut(): number {
    return this.#leftOut + this.tally.leftOut
  }

  /** What is planned are keys, and no query. */
  get isByName(): boolean {
    return this.#plan?.kind === 'keys'
  }

  /** Keys that come next and that `sift` has let through. */
  get cleared(): number {
    return this.#retries.due === undefined ? this.#supply.cleared : 0
  }

  /** Keys that come next and were not sifted, at most `count`; none where a retry or a query's rows do. */
  upcoming(count: number): readonly string[] {
    return this.#retries.due === undefined && this.#supply.cleared === 0 ? this.#supply.upcoming(count) : []
  }

  /** Leaves out those of the next `count` keys that may not stay. */
  sift(count: number, mayStay: (key: string) => boolean): void {
    this.#leftOut += this.#supply.sift(count, mayStay)
    this.#checkEnd()
  }

  /** Leaves out all that was not begun. Batches on their way still count. */
  leaveOut(): void {
    for (const unit of this.#retries.clear()) {
      const unknown = Math.min(unit.keys ?? 0, unit.maybeWritten ?? 0)
      this.tally.give('unknown', unknown, MAYBE_WRITTEN)
      this.#leftOut += (unit.keys ?? 0) - unknown
    }
    this.#leftOut += this.#supply.clear()
    if (this.#stream !== undefined && !this.#stream.isDone) {
      this.#stream.isDone = true
      this.isCut = true
      this.#leftOut += Math.max(0, (plannedKeys(this.#plan) ?? 0) - this.tally.keys.planned - this.tally.leftOut)
    }
    this.#checkEnd()
  }

  /** Takes the next batch, of at most `most` keys; ask `waitMs` first. */
  take(most = this.batchSize): Unit {
    this.#outstanding++
    if (this.#retries.due !== undefined) return this.#retries.shift() as Unit
    this.#notBefore(this.options.batchDelayMs)
    if (this.#stream !== undefined) return this.#stream.page(this.batchSize)
    const { priority } = this.#supply
    return { ...this.#supply.take(Math.min(most, this.batchSize)), attempt: 0, worker: undefined, priority }
  }

  /** The worker that took the stream's first page holds its cursor from then on. */
  sentTo(unit: Unit, worker: number): void {
    if (unit.work.kind === 'page') this.#stream?.sentTo(unit.work.stream, worker)
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
    for (const unit of this.#retries.clear()) this.#giveUp(unit.keys ?? 0, failure, unit.maybeWritten ?? 0)
    if (this.#stream !== undefined && !this.#stream.isDone) {
      this.#stream.isDone = true
      this.tally.break(failure)
    }
    this.#giveUp(this.#supply.clear(), failure, 0)
    this.tally.firstError ??= failure
    this.#checkEnd()
  }

  /** The stream whose cursor some worker holds, if there is one. */
  get heldStream(): { id: string; worker: number } | undefined {
    return this.#stream?.held
  }

  progress(): TaskProgress {
    return progressOf(this, this.#plan)
  }

  #settlePage(stream: string, end: BatchEnd): void {
    const tries = this.stoppedBy !== null ? -1 : this.isCut ? 0 : this.task.retries
    const attempt = this.#stream?.settle(stream, end, tries) ?? null
    if (attempt !== null) this.#notBefore(this.#pauseMs(attempt))
  }

  /** A halted stream has lost its cursor: it begins anew, and so does its count. */
  #haltStream(stream: string, end: BatchEnd, pauseMs: number): void {
    if (this.#stream?.halted(stream, end) !== true || this.isCut) return
    this.#stream.restart()
    this.#notBefore(pauseMs)
  }

  #notBefore(pauseMs: number): void {
    this.#notBeforeNs = this.options.clock.nowNs() + pauseMs * 1e6
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
    return this.#stream?.isReady(this.#outstanding) ?? !this.#supply.isEmpty
  }

  #checkEnd(): void {
    if (this.isEnded || this.#plan === undefined || this.#outstanding > 0 || this.#retries.size > 0) return
    if (this.#stream !== undefined ? !this.#stream.isDone : this.#hasFresh()) return
    this.tally = this.#stream?.settled() ?? this.tally
    this.endNs = this.options.clock.nowNs()
  }
}
