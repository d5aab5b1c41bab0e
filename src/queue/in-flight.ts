/** The keys (or whole queries) that are queued or on their way, so that none is warmed twice at once. */
export class InFlight {
  readonly #held = new Map<string, Set<string>>()

  /** Those of `names` that nobody holds yet; they are held now. Keeps their order, drops repetitions. */
  claim(task: string, names: Iterable<string>): string[] {
    const held = this.#of(task)
    const claimed: string[] = []
    for (const name of names) {
      if (held.has(name)) continue
      held.add(name)
      claimed.push(name)
    }
    return claimed
  }

  release(task: string, names: Iterable<string>): void {
    const held = this.#held.get(task)
    if (held === undefined) return
    for (const name of names) held.delete(name)
    if (held.size === 0) this.#held.delete(task)
  }

  #of(task: string): Set<string> {
    let held = this.#held.get(task)
    if (held === undefined) {
      held = new Set()
      this.#held.set(task, held)
    }
    return held
  }
}
