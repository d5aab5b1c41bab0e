import type { Clock } from '../clock.ts'

/** Pauses of readers that wait for another process's load; a change of their key ends one early. */
export class Wakers {
  readonly #clock: Clock
  readonly #waking = new Map<string, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Pauses that last. */
  get size(): number {
    return this.#waking.size
  }

  pause(key: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wakers = this.#waking.get(key) ?? new Set()
      this.#waking.set(key, wakers)
      const wake = () => {
        takeBack()
        wakers.delete(wake)
        if (wakers.size === 0) this.#waking.delete(key)
        resolve()
      }
      const takeBack = this.#clock.after(ms, wake)
      wakers.add(wake)
    })
  }

  /** Null: everyone. */
  wake(keys: readonly string[] | null): void {
    const all = keys === null ? [...this.#waking.values()] : keys.flatMap((key) => this.#waking.get(key) ?? [])
    for (const wakers of all) for (const wake of [...wakers]) wake()
  }
}
