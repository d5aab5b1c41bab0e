import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { RewarmSettings } from '../config/service-settings.ts'
import type { HeldLock, Locks } from '../coordination/types.ts'
import type { EventLog } from '../events/event-log.ts'
import type { JobHandle } from '../job/job.ts'
import { traceIdOf } from '../job/trace.ts'
import type { JobRequest } from '../types.ts'

const log = getLogger(['prewarm'])

/** Reads of the cache that found something, and that did not. */
export interface Hits {
  hits: number
  misses: number
}

export interface RewarmOptions {
  settings: RewarmSettings
  /** Sums that only grow, unless the server was restarted. */
  readHits: () => Promise<Hits>
  submit: (request: JobRequest) => JobHandle
  locks: Locks
  events: EventLog
  clock: Clock
  /** True while a job runs: then reads are not only those of readers. */
  isBusy: () => boolean
}

/**
 * `watching`: it warms when the hit rate falls. `warmed`: it has, and waits until the rate has risen; it keeps the lock for
 * that long, so that no other instance warms for the same fall.
 */
type State = { is: 'watching' } | { is: 'warmed'; lock: HeldLock } | { is: 'stopped' }

/** What was read since the last verdict, from which sums on; `from` null: nothing to compare with yet. */
interface Window extends Hits {
  from: Hits | null
  /** A job ran since the last look: that part does not count. */
  isDisturbed: boolean
}

/** Warms again when the hit rate falls: below `below` at once, then not again before it has been above `above`. */
export class Rewarm {
  readonly #options: RewarmOptions
  #state: State = { is: 'watching' }
  #window: Window = { hits: 0, misses: 0, from: null, isDisturbed: false }
  #takeBack: () => void = () => {}
  #unsubscribe: () => void = () => {}
  #look: Promise<void> = Promise.resolve()
  /** The job that it began, and what becomes of it. */
  #job: Promise<void> = Promise.resolve()
  #isStarted = false
  #stopped: Promise<void> | undefined

  constructor(options: RewarmOptions) {
    this.#options = options
  }

  /** Begins to look every `everyMs`. Safe to call twice; nothing after `stop`. */
  start(): void {
    if (this.#isStarted || this.#state.is === 'stopped') return
    this.#isStarted = true
    this.#unsubscribe = this.#options.events.on('job_started', () => {
      this.#window.isDisturbed = true
    })
    this.#next()
  }

  /** No job begins any more; resolves when its loop and the job that it began have ended and its lock is released. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      const state = this.#state
      this.#state = { is: 'stopped' }
      this.#takeBack()
      this.#unsubscribe()
      await this.#look
      await this.#job
      if (state.is === 'warmed') await state.lock.release()
    })()
    return this.#stopped
  }

  #next(): void {
    if (this.#state.is === 'stopped') return
    const { clock, settings } = this.#options
    this.#takeBack = clock.after(settings.everyMs, () => {
      this.#look = this.#once().then(() => this.#next())
    })
  }

  async #once(): Promise<void> {
    try {
      const rate = await this.#read()
      if (rate !== null) await this.#judge(rate)
    } catch (error) {
      this.#window.from = null
      log.warn('the hit rate could not be looked at: {error}', { error })
    }
  }

  /** The hit rate, when there were enough reads for one. */
  async #read(): Promise<number | null> {
    const { readHits, isBusy, settings } = this.#options
    const window = this.#window
    const sums = await readHits()
    const { from, isDisturbed } = window
    window.from = sums
    window.isDisturbed = isBusy()
    if (from === null || isDisturbed || window.isDisturbed) return null
    if (sums.hits < from.hits || sums.misses < from.misses) {
      // The server was restarted: its sums began anew.
      this.#empty()
      return null
    }
    window.hits += sums.hits - from.hits
    window.misses += sums.misses - from.misses
    const reads = window.hits + window.misses
    if (reads < settings.minReads || reads === 0) return null
    const rate = window.hits / reads
    this.#empty()
    return rate
  }

  #empty(): void {
    this.#window.hits = 0
    this.#window.misses = 0
  }

  async #judge(rate: number): Promise<void> {
    const { below } = this.#options.settings
    // Otherwise a rate between the two would be low and high at once.
    const above = Math.max(below, this.#options.settings.above)
    const state = this.#state
    switch (state.is) {
      case 'watching':
        if (rate < below) await this.#warm(rate)
        return
      case 'warmed':
        if (rate <= above) return
        this.#state = { is: 'watching' }
        log.info('the hit rate is {rate} again', { rate: percent(rate) })
        await state.lock.release()
    }
  }

  async #warm(rate: number): Promise<void> {
    const { locks, events, submit, settings } = this.#options
    const traceId = traceIdOf(undefined)
    const attempt = await locks.acquire('rewarm', traceId)
    if (!attempt.held) {
      const { holder } = attempt
      events.emit({ type: 'schedule_skipped', schedule: 'rewarm', reason: 'locked', holder })
      log.info('the hit rate is {rate}: {holder} warms for that already', { rate: percent(rate), holder })
      return
    }
    const { lock } = attempt
    if (this.#state.is === 'stopped') return lock.release()
    log.warn('the hit rate is {rate}, below {below}: warming', {
      rate: percent(rate),
      below: percent(settings.below),
      traceId,
    })
    const { tasks, tags } = settings
    try {
      const job = submit({
        ...(tasks === undefined ? {} : { tasks }),
        ...(tags === undefined ? {} : { tags }),
        traceId,
        source: 'rewarm',
        fence: lock.fence,
        signal: lock.lost,
      })
      this.#state = { is: 'warmed', lock }
      this.#job = job.result.then(({ status }) => this.#ended(status, lock))
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** A job that did not warm leaves the rate where it is: then the next verdict may try again. */
  async #ended(status: string, lock: HeldLock): Promise<void> {
    this.#empty()
    if (this.#state.is === 'stopped') return lock.release()
    if (status !== 'failed' && status !== 'cancelled') return
    this.#state = { is: 'watching' }
    log.warn('warming for the hit rate ended {status}', { status })
    await lock.release()
  }
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}
