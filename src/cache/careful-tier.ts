import type { Clock } from '../clock.ts'
import { isPrewarmError } from '../errors.ts'
import type { Ask, Fill, Filled, Found, Lease, SharedTier } from './tier.ts'
import { TierBreaker } from './tier-breaker.ts'
import type { FilledBy } from './types.ts'

interface Waiting {
  ask: Ask
  tell: (found: Found | null) => void
}

export interface CarefulOptions {
  tier: SharedTier
  clock: Clock
  /** Longest wait of a reader, ms. */
  timeoutMs: number
  /** Told of each time that Redis could not be asked. */
  onError: () => void
}

/** Most keys of one call. */
const MAX_KEYS = 250

/**
 * The shared tier as readers ask it: all questions of one moment in one call, none for longer than a bound, and none at all for
 * a while once it has failed several times in a row. Null: it can't be told.
 */
export class CarefulTier {
  readonly #tier: SharedTier
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #onError: () => void
  readonly #breaker: TierBreaker
  readonly #releasing = new Set<Promise<void>>()
  #waiting: Waiting[] = []

  constructor({ tier, clock, timeoutMs, onError }: CarefulOptions) {
    this.#tier = tier
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#onError = onError
    this.#breaker = new TierBreaker(clock)
  }

  /** Many at once, or one with the others of this moment. */
  async readAll(asks: readonly Ask[]): Promise<readonly (Found | null)[]> {
    if (asks.length === 1) return [await this.#read(asks[0] as Ask)]
    const chunks: Ask[][] = []
    for (let from = 0; from < asks.length; from += MAX_KEYS) chunks.push(asks.slice(from, from + MAX_KEYS))
    return (await Promise.all(chunks.map((chunk) => this.#readChunk(chunk)))).flat()
  }

  #read(ask: Ask): Promise<Found | null> {
    return new Promise((tell) => {
      this.#waiting.push({ ask, tell })
      if (this.#waiting.length === 1) void Promise.resolve().then(() => this.#send())
    })
  }

  lease(key: string): Promise<Lease | null> {
    return this.#bounded(
      () => this.#tier.lease(key),
      (late) => late !== null && void this.release([key], late),
    )
  }

  ticket(): Promise<Lease | null> {
    return this.#bounded(() => this.#tier.ticket())
  }

  tagVersions(tags: readonly string[]): Promise<string[] | null> {
    return this.#bounded(() => this.#tier.tagVersions(tags))
  }

  fill(
    fills: readonly Fill[],
    options: { lease: Lease; replace: boolean; filledBy: FilledBy },
  ): Promise<Filled[] | null> {
    return this.#bounded(() => this.#tier.fill(fills, options))
  }

  /** Whatever the state of Redis: it tells nothing of it, as it never throws, and is worth a try. */
  release(keys: readonly string[], lease: Lease): Promise<void> {
    if (lease.token === '') return Promise.resolve()
    const releasing = this.#tier.release(keys, lease).finally(() => this.#releasing.delete(releasing))
    this.#releasing.add(releasing)
    return releasing
  }

  /** Resolves when no lease is being given back any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#releasing)
  }

  #send(): void {
    const sending = this.#waiting
    this.#waiting = []
    for (let from = 0; from < sending.length; from += MAX_KEYS) {
      const some = sending.slice(from, from + MAX_KEYS)
      void this.#readChunk(some.map(({ ask }) => ask)).then((found) => {
        for (const [index, { tell }] of some.entries()) tell(found[index] ?? null)
      })
    }
  }

  async #readChunk(asks: readonly Ask[]): Promise<readonly (Found | null)[]> {
    const found = await this.#bounded(
      () => this.#tier.read(asks),
      // Who asked has gone to the origin: others need not wait for that.
      (late) => this.#giveBack(asks, late),
    )
    return found ?? asks.map(() => null)
  }

  #giveBack(asks: readonly Ask[], late: readonly Found[]): void {
    for (const [index, found] of late.entries())
      if (found.state === 'leased') void this.release([(asks[index] as Ask).key], found.lease)
  }

  async #bounded<T>(work: () => Promise<T>, onLate: (result: T) => void = () => {}): Promise<T | null> {
    if (!this.#breaker.tryAsk()) {
      this.#onError()
      return null
    }
    return new Promise((resolve) => {
      let isLate = false
      const fail = () => {
        this.#breaker.tell('failed')
        this.#onError()
        resolve(null)
      }
      // A process that was busy for as long looks once more: the answer may lie there already.
      let takeBack = this.#clock.after(this.#timeoutMs, () => {
        takeBack = this.#clock.after(0, () => {
          isLate = true
          fail()
        })
      })
      work().then(
        (result) => {
          if (isLate) return onLate(result)
          takeBack()
          this.#breaker.tell('answered')
          resolve(result)
        },
        (error) => {
          if (isLate) return
          takeBack()
          if (!isPrewarmError(error) || error.code !== 'STORE_REFUSED') return fail()
          // That was an answer: Redis is there.
          this.#breaker.tell('answered')
          this.#onError()
          resolve(null)
        },
      )
    })
  }
}
