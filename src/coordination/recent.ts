import type { Clock } from '../clock.ts'

/** An answer that holds for some time: whoever asks meanwhile is given it again, also while it is under way. */
export class Recent<T> {
  readonly #clock: Clock
  readonly #holdsMs: number
  readonly #ask: (nowMs: number) => Promise<T>
  #last: { atMs: number; answer: Promise<T> } | undefined

  /** @param options `holdsMs`: how long, from the question on; `ask`: asks anew, and never rejects */
  constructor({ clock, holdsMs, ask }: { clock: Clock; holdsMs: number; ask: (nowMs: number) => Promise<T> }) {
    this.#clock = clock
    this.#holdsMs = holdsMs
    this.#ask = ask
  }

  read(): Promise<T> {
    const nowMs = this.#clock.nowMs()
    // Also where the clock was put back.
    if (this.#last === undefined || nowMs - this.#last.atMs >= this.#holdsMs || nowMs < this.#last.atMs)
      this.#last = { atMs: nowMs, answer: this.#ask(nowMs) }
    return this.#last.answer
  }

  /** The next one who asks is given a new answer. */
  forget(): void {
    this.#last = undefined
  }
}
