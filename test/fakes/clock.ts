import { setImmediate } from 'node:timers'
import type { Clock } from '../../src/clock.ts'

interface Timer {
  atMs: number
  order: number
  fn: () => void
}

/** Lets everything run that only waits for promises. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** A clock that stands still until it is told to move on. */
export class FakeClock implements Clock {
  readonly #startMs: number
  readonly #timers = new Set<Timer>()
  #elapsedMs = 0
  #order = 0

  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  nowNs(): number {
    return Math.round(this.#elapsedMs * 1e6)
  }

  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + Math.max(0, ms), order: this.#order++, fn }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        takeBack()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const takeBack = this.after(ms, done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  /** Moves on, calling what is due on the way, without letting promises run in between. */
  tick(ms: number): void {
    const endMs = this.#elapsedMs + ms
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) this.#fire(timer)
    this.#elapsedMs = endMs
  }

  /** Moves on, calling what is due on the way, each followed by all that it sets going. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    await turn()
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) {
      this.#fire(timer)
      await turn()
    }
    this.#elapsedMs = endMs
    await turn()
  }

  /** Moves on from timer to timer until `work` has ended; an error if it takes more than `maxMs` of this clock. */
  async until<T>(work: Promise<T>, maxMs = 600_000): Promise<T> {
    const endMs = this.#elapsedMs + maxMs
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    work.then(settled, settled)
    for (await turn(); !isSettled; await turn()) {
      const timer = this.#next(endMs)
      if (timer === undefined) {
        throw new Error(this.pending === 0 ? 'nothing is left that could end it' : `it did not end in ${maxMs} ms`)
      }
      this.#fire(timer)
    }
    return work
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
        next = timer
    }
    return next
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer)
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.atMs)
    timer.fn()
  }
}
