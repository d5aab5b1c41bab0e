import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'

/** Tells a load that is begun by another load from one that is begun by a reader. */
export interface LoadScope {
  isInside(): boolean
  /** Runs `work`, within which `isInside` is true. */
  enter<T>(work: () => T): T
}

export interface GateOptions {
  /** Loads at once. */
  maxLoads: number
  /** Loads that may wait for that. */
  maxWaiting: number
  /** Longest wait, ms. */
  waitMs: number
  clock: Clock
  scope: LoadScope
}

interface Waiter {
  go: () => void
  /** It has a place, or has waited too long. */
  isGone: boolean
}

/** Lets so many loads run at once; the others wait their turn, for a bounded time. */
export class LoadGate {
  readonly #options: GateOptions
  /** From `#head` on; those that waited too long are still among them. */
  readonly #queue: Waiter[] = []
  #head = 0
  #running = 0
  #waiting = 0
  /** What loads that have a place wait for, and who waits in the queue for what. */
  readonly #urgent = new WeakSet<object>()
  readonly #waiterOf = new WeakMap<object, Waiter>()

  constructor(options: GateOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /**
   * A load that is begun by another one is a part of that: were it to wait for a place, all places could be held by loads that
   * wait for theirs.
   *
   * @param loaded what is loaded, for `hurry`
   * @throws {PrewarmError} `RATE_LIMITED` if too many wait already, or it waited too long; what `work` throws
   */
  async run<T>(work: () => Promise<T>, loaded: readonly object[] = []): Promise<T> {
    const { maxLoads, scope } = this.#options
    if (scope.isInside()) return work()
    if (this.#running < maxLoads || loaded.some((one) => this.#urgent.has(one))) this.#running++
    else await this.#turn(loaded)
    try {
      return await scope.enter(work)
    } finally {
      this.#next()
    }
  }

  /** A load begins to wait for what another one loads: that gets a place at once, as it could wait for the first one's. */
  hurry(one: object): void {
    if (!this.#options.scope.isInside()) return
    this.#urgent.add(one)
    const waiter = this.#waiterOf.get(one)
    if (waiter === undefined || waiter.isGone) return
    this.#running++
    waiter.go()
  }

  /** Its place is handed over, so that nobody overtakes. */
  #turn(loaded: readonly object[]): Promise<void> {
    const { maxLoads, maxWaiting, waitMs, clock } = this.#options
    if (this.#waiting >= maxWaiting) {
      const message = `${this.#waiting} loads wait for the origin already: no more are taken; see maxLoads`
      return Promise.reject(new PrewarmError('RATE_LIMITED', message))
    }
    return new Promise((resolve, reject) => {
      const takeBack = clock.after(waitMs, () => {
        waiter.isGone = true
        this.#waiting--
        const message = `The load waited ${waitMs} ms, and the origin was still busy with ${maxLoads} others; see maxLoads`
        reject(new PrewarmError('RATE_LIMITED', message))
      })
      const go = () => {
        takeBack()
        waiter.isGone = true
        this.#waiting--
        resolve()
      }
      const waiter: Waiter = { go, isGone: false }
      this.#queue.push(waiter)
      for (const one of loaded) this.#waiterOf.set(one, waiter)
      this.#waiting++
    })
  }

  #next(): void {
    // One more than may be had hurried.
    if (this.#running > this.#options.maxLoads) {
      this.#running--
      return
    }
    while (this.#queue[this.#head]?.isGone) this.#head++
    const next = this.#queue[this.#head]
    if (next !== undefined) this.#head++
    if (this.#head > 1000 && this.#head * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    if (next === undefined) this.#running--
    else next.go()
  }
}
