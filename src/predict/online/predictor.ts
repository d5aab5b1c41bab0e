import { getLogger } from '@logtape/logtape'
import type { Clock } from '../../clock.ts'
import type { Commands, HotKey, Predictor } from '../../coordination/types.ts'
import { isPrewarmError, PrewarmError } from '../../errors.ts'
import { rankOutside } from '../outside.ts'
import type { OutsideModel, PredictionStatus, PredictorName } from '../types.ts'
import { readWindow } from '../windows.ts'
import { CatchUp, type CatchUpOptions, type CaughtUp } from './catch-up.ts'
import { historiesOf } from './model-holder.ts'
import { dueTo, keptFrom, wholeBuckets } from './spans.ts'
import { type ModelOptions, type StateHead, StateStore } from './state.ts'
import { type Answers, plainOf, type Work } from './work.ts'

const log = getLogger(['prewarm'])

/** How long an answer waits for what is folded, ms; then it goes by what there is. */
const PATIENCE_MS = 10_000

export interface OnlinePredictorOptions extends Omit<CatchUpOptions, 'states'> {
  commands: Commands
  clock: Clock
  /** The model from outside, loaded once; absent: the configuration names none. @throws {PrewarmError} `MODEL_INVALID` */
  outside?: () => Promise<OutsideModel> | undefined
  /** As the configuration says now. Lengths in ms. */
  settings: () => { predictor: PredictorName; windowMs: number; keys: number }
}

/**
 * Predicts by what all processes have read: windows that have ended are folded into a model whose state is in Redis, and
 * what was read since is looked at for each answer.
 */
export class OnlinePredictor implements Predictor {
  readonly #options: OnlinePredictorOptions
  readonly #states: StateStore
  readonly #catchUp: CatchUp
  readonly #ending = new AbortController()
  #running: { of: ModelOptions; done: Promise<CaughtUp> } | undefined
  #head: { of: ModelOptions; head: StateHead } | undefined

  constructor(options: OnlinePredictorOptions) {
    this.#options = options
    this.#states = new StateStore(options.commands)
    this.#catchUp = new CatchUp({ ...options, states: this.#states })
  }

  /** What was last seen of it; asks nobody. */
  get status(): PredictionStatus {
    const of = this.#of()
    const head = this.#head !== undefined && isSame(this.#head.of, of) ? this.#head.head : null
    const { foldedToMs = null, windows = 0, scores = [] } = head ?? {}
    return { predictor: this.#options.settings().predictor, windowMs: of.windowMs, foldedToMs, windows, scores }
  }

  /** Asks Redis, and folds nothing. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  async look(): Promise<PredictionStatus> {
    const of = this.#of()
    const stored = await this.#states.head(of)
    this.#see(of, stored.is === 'there' ? stored.head : null)
    return this.status
  }

  /**
   * Folds the windows that have ended, unless another instance does so now. Calls while one runs get its answer.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`, `STOPPED` after `close`
   */
  catchUp(): Promise<CaughtUp> {
    const of = this.#of()
    if (this.#running === undefined || !isSame(this.#running.of, of)) {
      const done = this.#catchUp.run(of, this.#ending.signal).then((caughtUp) => {
        this.#see(of, caughtUp.head)
        return caughtUp
      })
      const running = { of, done }
      this.#running = running
      const clear = () => {
        if (this.#running === running) this.#running = undefined
      }
      done.then(clear, clear)
    }
    return this.#running.done
  }

  /**
   * Hottest first; keys that nothing speaks for are left out.
   *
   * The ranking is by the model's windows (`prediction.window`). A score of `learned` and `decayed` is the reads that are
   * expected in `windowMs`; one of another predictor is what its rule gives.
   *
   * @param options `limit`: at most this many keys. `windowMs`: what scores are told for, > 0. @default the model's window.
   * `predictor`: @default the configured one
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`; `REQUEST_INVALID` for a limit or time that is none; for `onnx`
   * also `MODEL_INVALID`, and `REQUEST_INVALID` where no model is configured
   */
  async predict({
    limit,
    windowMs,
    predictor = this.#options.settings().predictor,
  }: {
    limit: number
    windowMs?: number
    predictor?: PredictorName | undefined
  }): Promise<HotKey[]> {
    if (Number.isNaN(limit)) throw new PrewarmError('REQUEST_INVALID', 'limit is NaN, expected a number of keys')
    if (windowMs !== undefined && !(windowMs > 0))
      throw new PrewarmError('REQUEST_INVALID', `windowMs is ${windowMs}, expected more than 0 ms`)
    const of = this.#of()
    const outside = predictor === 'onnx' ? await this.#outside() : undefined
    const { head, isBusy } = await this.#newest(of)
    if (outside !== undefined) {
      const histories = await this.#byState(of, head, (state) =>
        this.#ask({ kind: 'histories', options: of, state: null }, state),
      )
      return rankOutside(outside, historiesOf(histories), limit)
    }
    const hot = await this.#byState(of, head, (state) =>
      this.#top({ of, predictor, limit }, state, isBusy || state !== head),
    )
    const isRate = predictor === 'learned' || predictor === 'decayed'
    const scale = isRate && windowMs !== undefined ? windowMs / of.windowMs : 1
    return scale === 1 ? hot : hot.map((one) => ({ ...one, score: one.score * scale }))
  }

  /** Ends what is folded at present. Safe to call twice, never throws. */
  async close(): Promise<void> {
    this.#ending.abort(new PrewarmError('STOPPED', 'The warmer was stopped'))
    await this.#running?.done.catch(() => {})
  }

  async #outside(): Promise<OutsideModel> {
    const outside = await this.#options.outside?.()
    if (outside !== undefined) return outside
    throw new PrewarmError('REQUEST_INVALID', "predictor is 'onnx', and the configuration names no prediction.model")
  }

  /** The state to go by, as new as can be had in bounded time. */
  async #newest(of: ModelOptions): Promise<CaughtUp> {
    const { clock } = this.#options
    const answered = new AbortController()
    const late = clock.sleep(PATIENCE_MS, answered.signal).then(() => undefined)
    let failure: unknown
    try {
      const caughtUp = await Promise.race([this.catchUp(), late])
      if (caughtUp !== undefined) return caughtUp
    } catch (error) {
      failure = error
    } finally {
      answered.abort()
    }
    // Redis may refuse to be written to, and tell all the same.
    const stored = await this.#states.head(of)
    if (failure !== undefined && !this.#ending.signal.aborted)
      log.warn('what was read can not be learned from: {error}', { error: failure })
    return { isBusy: true, head: stored.is === 'there' ? stored.head : null }
  }

  /** Goes by a state; by the one that has taken its place meanwhile; by none where it can't be used. */
  async #byState<T>(
    of: ModelOptions,
    head: StateHead | null,
    work: (state: StateHead | null) => Promise<T>,
  ): Promise<T> {
    for (let state = head, isFirst = true; ; isFirst = false) {
      try {
        return await work(state)
      } catch (error) {
        const code = isPrewarmError(error) ? error.code : ''
        if (state === null || (code !== 'MODEL_INVALID' && code !== 'NOT_FOUND')) throw error
        const other = isFirst && code === 'NOT_FOUND' ? await this.#states.head(of) : null
        if (other?.is !== 'there') log.warn('what was remembered of reads can not be used: {error}', { error })
        state = other?.is === 'there' ? other.head : null
      }
    }
  }

  /** @param isBusy what was read before the window that is due next may not be folded yet */
  async #top(
    { of, predictor, limit }: { of: ModelOptions; predictor: PredictorName; limit: number },
    head: StateHead | null,
    isBusy: boolean,
  ): Promise<HotKey[]> {
    const nowMs = this.#options.clock.nowMs()
    // Where nothing is folded and nobody folds, nothing was read before the window that is due next.
    const fromMs = head?.foldedToMs ?? (isBusy ? keptFrom(nowMs, of.windowMs) : dueTo(nowMs, of.windowMs))
    const read = await readWindow(this.#options.commands, { fromMs, toMs: nowMs + 1 })
    return this.#ask(
      {
        ...{ kind: 'top' as const, options: of, state: null, limit: Math.max(0, limit) },
        predictor: predictor as Exclude<PredictorName, 'onnx'>,
        partial: plainOf({ ...read, toMs: Math.max(nowMs, fromMs + 1) }),
      },
      head,
    )
  }

  /**
   * Asks about a state; it is read from Redis only where it is not held.
   *
   * @throws {PrewarmError} `MODEL_INVALID`, `NOT_FOUND` if it is no longer there, `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  async #ask<W extends Work>(work: W, head: StateHead | null): Promise<Answers[W['kind']]> {
    const { worker } = this.#options
    if (head === null) return worker.do(work)
    const { id } = head
    try {
      return await worker.do({ ...work, state: { id, packed: null } })
    } catch (error) {
      if (!isPrewarmError(error) || error.code !== 'NOT_FOUND') throw error
      const packed = await this.#states.load(work.options, id)
      if (packed === null) throw error
      return worker.do({ ...work, state: { id, packed } })
    }
  }

  #of(): ModelOptions {
    const { windowMs, keys } = this.#options.settings()
    return { windowMs: wholeBuckets(windowMs), capacity: keys }
  }

  #see(of: ModelOptions, head: StateHead | null): void {
    this.#head = head === null ? undefined : { of, head }
  }
}

function isSame(one: ModelOptions, other: ModelOptions): boolean {
  return one.windowMs === other.windowMs && one.capacity === other.capacity
}
