import { getLogger } from '@logtape/logtape'
import type { Clock } from '../../clock.ts'
import { BUCKET_MS } from '../buckets.ts'
import type { OnlinePredictor } from './predictor.ts'
import { dueTo, SETTLED_MS } from './spans.ts'

const log = getLogger(['prewarm'])

/** Pause before it is looked again what another instance folds, or after a failure, ms. */
const BUSY_MS = 10_000
const FAILED_MS = 60_000
/** It is looked again after this at the latest, ms: clocks jump, and windows may get another length. */
const LONGEST_MS = BUCKET_MS
/** Instances do not all look in the same moment, ms. */
const JITTER_MS = 5000

export interface FoldLoopOptions {
  predictor: Pick<OnlinePredictor, 'catchUp' | 'status'>
  clock: Clock
  /** 0 to 1. */
  random: () => number
}

/** Learns from each window soon after its end, so that nobody who asks has to wait for that. */
export class FoldLoop {
  readonly #options: FoldLoopOptions
  readonly #ending = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: FoldLoopOptions) {
    this.#options = options
  }

  /** Safe to call twice. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Begins nothing more; resolves when what was begun has ended. Safe to call twice, never throws. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#ending
    while (!signal.aborted) {
      const pauseMs = await this.#once()
      await clock.sleep(pauseMs, signal)
    }
  }

  /** How long to wait for the next time, ms. */
  async #once(): Promise<number> {
    const { predictor, clock, random } = this.#options
    try {
      if ((await predictor.catchUp()).isBusy) return BUSY_MS
    } catch (error) {
      if (!this.#ending.signal.aborted) log.warn('what was read can not be learned from now: {error}', { error })
      return FAILED_MS
    }
    const { windowMs } = predictor.status
    const nowMs = clock.nowMs()
    const nextMs = dueTo(nowMs, windowMs) + windowMs + SETTLED_MS - nowMs
    return Math.min(LONGEST_MS, nextMs + random() * JITTER_MS)
  }
}
