import { getLogger } from '@logtape/logtape'
import { isPrewarmError } from '../errors.ts'
import type { EventOf } from '../events/types.ts'
import { traceIdOf } from '../job/trace.ts'
import { dueAfter, judge, LATE_MS, missedBefore } from './due.ts'
import type { Entry, KnownSchedules } from './known.ts'
import { type Begun, type Cause, type RunParts, Runs } from './run.ts'

const log = getLogger(['prewarm'])

/** How often the store is read, and the longest time between two looks at the wall clock, ms. */
const LOOK_MS = 30_000
/** A due time for which Redis could not be asked is tried again after this, ms. */
const RETRY_MS = 10_000
/** A wall clock that goes back by more than this was set, ms. */
const STEP_MS = 1000

type SkipReason = EventOf<'schedule_skipped'>['reason']

export interface LoopOptions extends Omit<RunParts, 'isStopped'> {
  known: KnownSchedules
  random: () => number
}

type State = { is: 'new' } | { is: 'running'; startMs: number } | { is: 'stopped' }

/**
 * Begins runs when they are due: one timer for all schedules, and at least every 30 s a look at the wall clock, so that one
 * that was set and a machine that slept are noticed.
 */
export class ScheduleLoop {
  readonly #options: LoopOptions
  readonly #runs: Runs
  /** Looks and beginnings: `stop` awaits them. */
  readonly #work = new Set<Promise<void>>()
  /** Runs that have begun: their jobs are the warmer's. */
  readonly #running = new Set<Promise<void>>()
  #state: State = { is: 'new' }
  #takeBack: () => void = () => {}
  #seenMs = 0
  #readNs = 0

  constructor(options: LoopOptions) {
    this.#options = options
    this.#runs = new Runs({ ...options, isStopped: () => this.#state.is === 'stopped' })
  }

  /** Reads the store, begins what is to be caught up, and then waits. Never rejects: the store may come later. */
  async start(): Promise<void> {
    this.#seenMs = this.#options.clock.nowMs()
    this.#state = { is: 'running', startMs: this.#seenMs }
    this.#options.known.refresh()
    const first = this.#read()
    this.#track(first)
    await first
    this.arm()
  }

  async stop(): Promise<void> {
    this.#state = { is: 'stopped' }
    this.#takeBack()
    await Promise.all(this.#work)
  }

  async settled(): Promise<void> {
    await Promise.all([...this.#work, ...this.#running])
  }

  /** Begins a run; the schedule counts as running from now on. @throws as {@linkcode Runs.begin} */
  async begin(entry: Entry, cause: Cause, traceId: string): Promise<Begun> {
    // Before anything is awaited: nobody else begins it meanwhile.
    entry.running = true
    let begun: Begun | undefined
    try {
      begun = await this.#runs.begin(entry, cause, traceId)
    } finally {
      if (begun?.is !== 'running') entry.running = false
    }
    if (begun.is === 'running') {
      const { ended } = begun
      this.#running.add(ended)
      void ended.then(() => this.#running.delete(ended))
    }
    return begun
  }

  /** Sets the timer to whatever comes next. */
  arm(): void {
    if (this.#state.is !== 'running') return
    const { clock, known } = this.#options
    const nowMs = clock.nowMs()
    let waitMs = LOOK_MS
    for (const { due, retry } of known.entries.values()) {
      if (due !== null) waitMs = Math.min(waitMs, due.fireMs - nowMs)
      if (retry !== null) waitMs = Math.min(waitMs, retry.atMs - nowMs)
    }
    this.#takeBack()
    this.#takeBack = clock.after(Math.max(1, waitMs), () => this.#look())
  }

  #look(): void {
    const { clock, known } = this.#options
    const nowMs = clock.nowMs()
    known.refresh()
    if (nowMs < this.#seenMs - STEP_MS) known.rewind(nowMs)
    this.#seenMs = nowMs
    for (const entry of known.entries.values()) {
      this.#lookAgain(entry, nowMs)
      this.#lookAt(entry, nowMs)
    }
    if (clock.nowNs() - this.#readNs >= LOOK_MS * 1e6) this.#track(this.#read())
    this.arm()
  }

  #lookAt(entry: Entry, nowMs: number): void {
    const { due, table, record } = entry
    if (due === null || table === null) return
    const verdict = judge(due, table, nowMs, record.spec.catchUp)
    if (verdict.is === 'early') return
    const isMissed = verdict.is === 'missed' || verdict.missed || entry.retry !== null
    entry.due = dueAfter(table, verdict.dueMs, record.spec.jitterMs, this.#options.random)
    entry.retry = null
    if (record.paused) this.#skip(entry, 'paused')
    else {
      if (isMissed) this.#skip(entry, 'missed')
      if (verdict.is === 'due') this.#fire(entry, verdict.dueMs, nowMs + LATE_MS)
    }
  }

  #lookAgain(entry: Entry, nowMs: number): void {
    const { retry } = entry
    if (retry === null || nowMs < retry.atMs) return
    entry.retry = null
    if (nowMs > retry.untilMs) this.#skip(entry, 'missed')
    else this.#fire(entry, retry.dueMs, retry.untilMs)
  }

  /** @param untilMs until when it is tried again if Redis is away */
  #fire(entry: Entry, dueMs: number, untilMs: number): void {
    if (entry.running) this.#skip(entry, 'overlap')
    else this.#track(this.#runDue(entry, dueMs, untilMs))
  }

  async #runDue(entry: Entry, dueMs: number, untilMs: number): Promise<void> {
    const { name: schedule } = entry
    try {
      const begun = await this.begin(entry, { by: 'due', dueMs }, traceIdOf(undefined))
      if (begun.is === 'locked') this.#skip(entry, 'locked', begun.holder)
      if (begun.is === 'paused') this.#skip(entry, 'paused')
    } catch (error) {
      if (isPrewarmError(error) && error.code.startsWith('STORE_')) {
        entry.retry = { dueMs, atMs: this.#options.clock.nowMs() + RETRY_MS, untilMs }
        log.warn('schedule {schedule} does not run without its lock, and is tried again: {error}', { schedule, error })
        this.arm()
      } else log.error('schedule {schedule} could not run: {error}', { schedule, error })
    }
  }

  async #read(): Promise<void> {
    const { known, clock } = this.#options
    this.#readNs = clock.nowNs()
    try {
      await known.read()
    } catch (error) {
      log.warn('the schedules could not be read, and are tried again: {error}', { error })
      return
    }
    this.#catchUp()
    this.arm()
  }

  /** Once for each schedule, when its last run is known. */
  #catchUp(): void {
    const state = this.#state
    if (state.is !== 'running') return
    for (const entry of this.#options.known.entries.values()) {
      if (entry.isCaughtUp) continue
      entry.isCaughtUp = true
      const { record, table } = entry
      if (!record.spec.catchUp || record.paused || table === null) continue
      const missedMs = missedBefore(state.startMs, record.lastRunAt, table)
      if (missedMs !== null) this.#fire(entry, missedMs, this.#options.clock.nowMs() + LATE_MS)
    }
  }

  #skip({ name: schedule }: Entry, reason: SkipReason, holder: string | null = null): void {
    this.#options.events.emit({ type: 'schedule_skipped', schedule, reason, ...(holder === null ? {} : { holder }) })
    if (reason !== 'locked') log.info('schedule {schedule} skips a run: {reason}', { schedule, reason })
    else if (holder === null) log.info('schedule {schedule} skips a run: another instance ran it', { schedule })
    else log.info('schedule {schedule} skips a run: {holder} holds the lock', { schedule, holder })
  }

  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }
}
