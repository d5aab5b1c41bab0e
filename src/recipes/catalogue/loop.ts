import { getLogger } from '@logtape/logtape'
import type { Clock } from '../../clock.ts'

const log = getLogger(['prewarm'])

/** What ends a loop. */
export interface WarmingHandle {
  /** Resolves when the first round has ended, or was stopped. Never rejects. */
  readonly firstRound: Promise<void>
  /** Ends it and resolves when its loop has: nothing is warmed after that. Never rejects; safe to call twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface WarmingLoopOptions {
  round: (signal: AbortSignal) => Promise<void>
  intervalMs: number
  clock: Clock
  /** The end of a loop that came before: no round begins until then. */
  before?: Promise<void> | undefined
}

/** A round now, and then one at each interval; the next is not due before the last has ended. */
export class WarmingLoop implements WarmingHandle {
  readonly firstRound: Promise<void>
  readonly #options: WarmingLoopOptions
  readonly #ending = new AbortController()
  readonly #ended: Promise<void>

  constructor(options: WarmingLoopOptions) {
    this.#options = options
    this.firstRound = (async () => {
      await options.before
      if (this.isRunning) await this.#round()
    })()
    this.#ended = this.#loop()
  }

  get isRunning(): boolean {
    return !this.#ending.signal.aborted
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #loop(): Promise<void> {
    const { clock, intervalMs } = this.#options
    const { signal } = this.#ending
    const startNs = clock.nowNs()
    await this.firstRound
    while (!signal.aborted) {
      // Rounds that were due while one ran are left out.
      const pastMs = ((clock.nowNs() - startNs) / 1e6) % intervalMs
      await clock.sleep(intervalMs - pastMs, signal)
      if (!signal.aborted) await this.#round()
    }
  }

  async #round(): Promise<void> {
    try {
      await this.#options.round(this.#ending.signal)
    } catch (error) {
      if (this.isRunning) log.warn('a round of cache warming failed, and the next is tried: {error}', { error })
    }
  }
}
