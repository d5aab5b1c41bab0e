import { getLogger } from '@logtape/logtape'
import type { Clock } from '../../clock.ts'
import type { Commands, Locks } from '../../coordination/types.ts'
import { isPrewarmError } from '../../errors.ts'
import { BUCKET_MS, bucketKey } from '../buckets.ts'
import { readWindow } from '../windows.ts'
import { bucketsOf, dueTo, keptFrom, type Span, spansBetween } from './spans.ts'
import { ARE_THERE, MAX_STATE, type ModelOptions, type StateHead, type StateStore, type Stored } from './state.ts'
import { type ModelWorker, type PlainWindow, plainOf } from './work.ts'

const log = getLogger(['prewarm'])

/** The lock under which one instance folds; the others leave it to that one. */
const LOCK = 'predict'
/** Keys of the windows that are folded in one go: a bound on memory, not on what is folded. */
const CHUNK_KEYS = 100_000

export interface CatchUpOptions {
  commands: Commands
  locks: Locks
  clock: Clock
  states: StateStore
  /** Does the folding. */
  worker: ModelWorker
  /** What others are told of who folds. */
  holder: string
}

export interface CaughtUp {
  /** Another instance folds now. */
  isBusy: boolean
  /** Of the state that is stored; null: there is none, or none that can be used. */
  head: StateHead | null
}

/** Where folding begins: a state, or none; `replaced`: its id, or that of one that can't be used. */
interface Start {
  head: StateHead | null
  packed: string | null
  replaced: string | null
}

interface Due extends Span {
  hasReads: boolean
}

/**
 * Folds the windows that have ended since the last one of the state in Redis, in order, and stores what comes of it: each
 * window is folded by one of all instances. What a crash interrupts is folded again, from the log, which is only read.
 */
export class CatchUp {
  readonly #options: CatchUpOptions

  constructor(options: CatchUpOptions) {
    this.#options = options
  }

  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`, `STOPPED` when `signal` aborts */
  async run(of: ModelOptions, signal: AbortSignal): Promise<CaughtUp> {
    const { locks, holder } = this.#options
    const seen = await this.#look(of)
    const head = seen.is === 'there' ? seen.head : null
    if ((await this.#due(head, of)).length === 0) return { isBusy: false, head }
    const attempt = await locks.acquire(LOCK, holder)
    if (!attempt.held) return { isBusy: true, head }
    const { lock } = attempt
    try {
      return { isBusy: false, head: await this.#fold(of, AbortSignal.any([signal, lock.lost])) }
    } catch (error) {
      if (lock.lost.aborted && !signal.aborted) return { isBusy: true, head }
      throw error
    } finally {
      await lock.release()
    }
  }

  /** What is stored; a state of the future is broken, as nobody would fold into it. */
  async #look(of: ModelOptions): Promise<Stored> {
    const stored = await this.#options.states.head(of)
    if (stored.is !== 'there' || stored.head.foldedToMs <= this.#options.clock.nowMs() + of.windowMs) return stored
    const until = new Date(stored.head.foldedToMs).toISOString()
    return { is: 'broken', id: stored.head.id, reason: `it is folded to ${until}, which is yet to come` }
  }

  /**
   * The windows to fold, the oldest first. Without a state they begin where the log does; what is older than the log is lost,
   * and the model is told of the gap by the next window.
   */
  async #due(head: StateHead | null, { windowMs }: ModelOptions): Promise<Due[]> {
    const nowMs = this.#options.clock.nowMs()
    const fromMs = Math.max(head?.foldedToMs ?? 0, keptFrom(nowMs, windowMs))
    const spans = spansBetween({ fromMs, toMs: dueTo(nowMs, windowMs) }, windowMs)
    if (spans.length === 0) return []
    const keys = spans.flatMap(bucketsOf).map(bucketKey)
    const [serverMs = 0, ...there] = (await this.#options.commands.script(ARE_THERE, keys, [])) as number[]
    const count = windowMs / BUCKET_MS
    const due = spans
      .map((span, index) => ({ ...span, hasReads: there.slice(index * count, (index + 1) * count).includes(1) }))
      // With a clock that is ahead, what others still read would be lost.
      .filter(({ toMs }) => toMs <= serverMs)
    const first = due.findIndex(({ hasReads }) => hasReads)
    return head !== null ? due : first === -1 ? [] : due.slice(first)
  }

  /** Under the lock: whoever had it before has stored what it folded. */
  async #fold(of: ModelOptions, signal: AbortSignal): Promise<StateHead | null> {
    const start = await this.#start(of)
    try {
      return await this.#foldFrom(start, of, signal)
    } catch (error) {
      if (start.head === null || !isPrewarmError(error) || error.code !== 'MODEL_INVALID') throw error
      tellBroken(error.message)
      return this.#foldFrom({ head: null, packed: null, replaced: start.head.id }, of, signal)
    }
  }

  async #start(of: ModelOptions): Promise<Start> {
    const stored = await this.#look(of)
    if (stored.is === 'broken') {
      tellBroken(stored.reason)
      return { head: null, packed: null, replaced: stored.id }
    }
    if (stored.is === 'none') return { head: null, packed: null, replaced: null }
    const packed = await this.#options.states.load(of, stored.head.id)
    // It was evicted, or deleted, a moment ago.
    if (packed === null) return { head: null, packed: null, replaced: null }
    return { head: stored.head, packed, replaced: stored.head.id }
  }

  async #foldFrom(start: Start, of: ModelOptions, signal: AbortSignal): Promise<StateHead | null> {
    const { states, worker } = this.#options
    let { head, packed, replaced } = start
    const due = await this.#due(head, of)
    while (due.length > 0) {
      const windows = await this.#read(due, signal)
      const id = crypto.randomUUID()
      const state = head === null ? null : { id: head.id, packed }
      const folded = await worker.do({ kind: 'fold', options: of, state, id, windows }, signal)
      if (folded.state.length > MAX_STATE) {
        log.warn('what was read is not remembered: {size} characters, at most {max}: set fewer prediction.keys', {
          ...{ size: folded.state.length, max: MAX_STATE },
        })
        return head
      }
      const { foldedToMs, windows: count, scores } = folded
      const next: StateHead = { id, foldedToMs, windows: count, scores }
      // Somebody without the lock was faster: theirs counts.
      if (!(await states.store(of, next, folded.state, replaced))) {
        const stored = await this.#look(of)
        return stored.is === 'there' ? stored.head : null
      }
      head = next
      packed = folded.state
      replaced = id
    }
    return head
  }

  /** Takes windows from `due` and reads them, until they hold enough keys. */
  async #read(due: Due[], signal: AbortSignal): Promise<PlainWindow[]> {
    const windows: PlainWindow[] = []
    for (let keys = 0; keys < CHUNK_KEYS && due.length > 0; ) {
      signal.throwIfAborted()
      const { fromMs, toMs, hasReads } = due.shift() as Due
      const { commands } = this.#options
      const window = hasReads ? await readWindow(commands, { fromMs, toMs }) : { reads: 0, keys: new Map() }
      windows.push(plainOf({ ...window, fromMs, toMs }))
      keys += window.keys.size
    }
    return windows
  }
}

function tellBroken(reason: string): void {
  log.warn('what was remembered of reads can not be used ({reason}): it is learned anew from the access log', {
    reason,
  })
}
