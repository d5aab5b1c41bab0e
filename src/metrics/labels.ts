/** Label values of which there are never more than `max`: whatever comes later is `other`. */
export class BoundedLabels {
  readonly #known = new Set<string>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get known(): Iterable<string> {
    return this.#known
  }

  of(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#max) return 'other'
    this.#known.add(value)
    return value
  }
}

/** `value` if it is one of `allowed`, else `other`. */
export function oneOf(allowed: readonly string[], value: string): string {
  return allowed.includes(value) ? value : 'other'
}
