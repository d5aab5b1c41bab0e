/** Names that one job holds until it gives them back. */
export interface Claim {
  /** In the order asked for. */
  readonly names: string[]
  /** Safe to call twice. */
  release(): void
}

/** The keys (or whole queries) that are queued or on their way, so that none is warmed twice at once. */
export class InFlight {
  readonly #held = new Map<string, Set<ReadonlySet<string>>>()

  /**
   * Those of `wanted` that nobody holds yet; they are held now.
   *
   * @param wanted kept as it is while it is held
   */
  claim(task: string, wanted: ReadonlySet<string>): Claim {
    const others = [...(this.#held.get(task) ?? [])]
    const names = [...wanted].filter((name) => !others.some((other) => other.has(name)))
    const mine = names.length === wanted.size ? wanted : new Set(names)
    const held = this.#held.get(task) ?? new Set()
    this.#held.set(task, held.add(mine))
    return { names, release: () => this.#release(task, mine) }
  }

  /** Somebody holds `name` now. */
  isHeld(task: string, name: string): boolean {
    for (const held of this.#held.get(task) ?? []) if (held.has(name)) return true
    return false
  }

  #release(task: string, claim: ReadonlySet<string>): void {
    const held = this.#held.get(task)
    if (held?.delete(claim) && held.size === 0) this.#held.delete(task)
  }
}
