import type { Clock } from '../../clock.ts'
import { isPrewarmError } from '../../define.ts'
import { type Failure, toFailure } from '../../errors.ts'
import type { WarmerFacade } from '../../facade.ts'
import type { FinalStatus } from '../../types.ts'

/** What of a warmer it needs. */
export type Predicts = Pick<WarmerFacade, 'predict' | 'submit'>

/** What became of the predicted keys of one round. */
export interface PredictedRun {
  /** ISO 8601: when it ended. */
  at: string
  /** How many were predicted. */
  predicted: number
  /** How many of them were written; of the others, no task has some, and some were there or failed. */
  written: number
  /** `skipped`: nothing was predicted, or no task has any of the keys. */
  status: FinalStatus
  error: Failure | null
}

export interface PredictedKeysOptions {
  warmer: Predicts
  clock: Clock
  /** Keys of a round. */
  limit: number
}

/** Reads of so long ago count, as for schedules, ms. */
const WINDOW_MS = 3_600_000

/** Warms the keys that are likely to be read next, by the tasks of the warmer that predicts them. */
export class PredictedKeys {
  readonly #options: PredictedKeysOptions
  last: PredictedRun | null = null

  constructor(options: PredictedKeysOptions) {
    this.#options = options
  }

  /** One job to its end. Never rejects: what failed stands in `last`. */
  async warm(signal: AbortSignal): Promise<void> {
    const { warmer, clock, limit } = this.#options
    let [predicted, written] = [0, 0]
    let status: FinalStatus = 'skipped'
    let error: Failure | null = null
    try {
      if (signal.aborted) return
      const keys = (await warmer.predict({ limit, windowMs: WINDOW_MS })).map(({ key }) => key)
      predicted = keys.length
      if (signal.aborted) return
      if (keys.length > 0) {
        const result = await warmer.submit({ keys, signal }).result
        written = result.keys.written
        status = result.status
        error = result.tasks.find((task) => task.firstError !== null)?.firstError ?? null
      }
    } catch (thrown) {
      // Applications read other keys, too.
      if (!isPrewarmError(thrown) || thrown.code !== 'KEYS_UNMATCHED') {
        status = 'failed'
        error = toFailure(thrown)
      }
    }
    this.last = { at: new Date(clock.nowMs()).toISOString(), predicted, written, status, error }
  }
}
