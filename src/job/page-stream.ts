import type { Failure } from '../errors.ts'
import type { BatchEnd } from '../pool/member.ts'
import { PastTries } from './past-tries.ts'
import { Tally } from './tally.ts'
import type { Unit } from './unit.ts'

/** Pages of a stream that may be on their way at once: one is read while others are written. */
const WINDOW = 3

export interface PageStreamOptions {
  /** Gives each try of it a name of its own. */
  nameOf: (number: number) => string
  limit: number | null
  /** Its tally counts the try that goes on. */
  lane: { tally: Tally }
}

/** A lane's stream of rows: the try that goes on, on the worker that holds its cursor, and those that broke off. */
export class PageStream {
  readonly #options: PageStreamOptions
  readonly #past = new PastTries()
  #number = 0
  #tries = 0
  #id: string
  #worker: number | undefined
  /** No further page is to be asked for. */
  isDone = false

  constructor(options: PageStreamOptions) {
    this.#options = options
    this.#id = options.nameOf(this.#number++)
  }

  /** Where its cursor is held; undefined before its first page has found a worker, and when it was read to its end. */
  get worker(): number | undefined {
    return this.#worker
  }

  get held(): { id: string; worker: number } | undefined {
    return this.#worker === undefined ? undefined : { id: this.#id, worker: this.#worker }
  }

  /** Whether it can give a page while so many are on their way: before the first has found its worker there is no place for a second. */
  isReady(outstanding: number): boolean {
    return !this.isDone && outstanding < (this.#worker === undefined ? 1 : WINDOW)
  }

  page(rows: number): Unit {
    const work = { kind: 'page', stream: this.#id, rows, limit: this.#options.limit } as const
    return { work, attempt: 0, keys: null, worker: this.#worker }
  }

  sentTo(stream: string, worker: number): void {
    if (stream === this.#id) this.#worker = worker
  }

  /**
   * Accounts for a page that has ended.
   *
   * @param tries how often it may begin anew; -1: what has failed is over, and no failure of the stream's
   * @returns the number of the try that broke off, if it has begun anew
   */
  settle(stream: string, end: BatchEnd, tries: number): number | null {
    const isCurrent = this.#id === stream
    const tally = this.#tallyOf(stream)
    if (tally === undefined) return null
    if (end.status === 'done') {
      tally.add(end.report)
      tally.give('failed', end.report.retryKeys.length, end.report.firstError as Failure)
      if (isCurrent && end.report.done) {
        this.isDone = true
        this.#worker = undefined
      }
      return null
    }
    if (end.status === 'lost') tally.give('unknown', end.keys, end.failure)
    if (!isCurrent || (end.status === 'failed' && (tries < 0 || tally.isBroken))) return null
    const mayPass = end.status === 'lost' || end.retryable
    if (mayPass && this.#tries < tries) {
      this.restart()
      return this.#tries++
    }
    this.isDone = true
    tally.break(end.failure)
    return null
  }

  /** Accounts for a page that was told to halt; whether it was of the try that goes on, whose cursor is lost with it. */
  halted(stream: string, end: BatchEnd): boolean {
    const tally = this.#tallyOf(stream)
    if (end.status === 'done') tally?.add(end.report)
    else if (end.status === 'lost') tally?.give('unknown', end.keys, end.failure)
    return stream === this.#id
  }

  /** The rows are read once more, so the new try counts from nothing; should it get less far, the old one's count holds. */
  restart(): void {
    const { lane, nameOf } = this.#options
    this.#past.add(this.#id, lane.tally)
    lane.tally = new Tally()
    this.#id = nameOf(this.#number++)
    this.#worker = undefined
    this.isDone = false
  }

  /** The tally that tells what is in the store. */
  settled(): Tally {
    return this.#past.settle(this.#options.lane.tally)
  }

  #tallyOf(stream: string): Tally | undefined {
    return stream === this.#id ? this.#options.lane.tally : this.#past.of(stream)
  }
}
