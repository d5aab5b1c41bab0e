import { PrewarmError } from '../errors.ts'

/** Lets so many loads run at once; the others wait their turn. */
export class LoadGate {
  readonly #max: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #head = 0
  #running = 0

  constructor({ maxLoads, maxWaiting }: { maxLoads: number; maxWaiting: number }) {
    this.#max = maxLoads
    this.#maxWaiting = maxWaiting
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length - this.#head
  }

  /** @throws {PrewarmError} `RATE_LIMITED` if too many wait already; what `work` throws */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) this.#running++
    else {
      if (this.waiting >= this.#maxWaiting) {
        const message = `${this.waiting} loads wait for the origin already: no more are taken; see maxLoads`
        throw new PrewarmError('RATE_LIMITED', message)
      }
      // Its place is handed over, so that nobody overtakes.
      await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      this.#next()
    }
  }

  #next(): void {
    const next = this.#waiting[this.#head]
    if (next === undefined) {
      this.#running--
      return
    }
    this.#head++
    if (this.#head > 1000 && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head)
      this.#head = 0
    }
    next()
  }
}
