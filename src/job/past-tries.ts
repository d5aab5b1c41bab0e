import type { Tally } from './tally.ts'

/** What the tries of a stream that broke off have written, while a later one reads the same rows once more. */
export class PastTries {
  readonly #tallies = new Map<string, Tally>()

  add(stream: string, tally: Tally): void {
    this.#tallies.set(stream, tally)
  }

  /** For pages that were still on their way when their try broke off. */
  of(stream: string): Tally | undefined {
    return this.#tallies.get(stream)
  }

  /** The tally that tells what is in the store: the last try's; if it broke off too, that of the try that came furthest. */
  settle(last: Tally): Tally {
    const tries = [...this.#tallies.values()]
    const originRequests = tries.reduce((sum, one) => sum + one.originRequests, last.originRequests)
    let settled = last
    if (last.isBroken) for (const one of tries) if (one.keys.planned > settled.keys.planned) settled = one
    const firstError = last.firstError ?? settled.firstError
    return Object.assign(settled, { originRequests, isBroken: last.isBroken, firstError })
  }
}
