import type { Item } from './item.ts'
import { TAG_PREFIX } from './scripts.ts'

/** Reads on their way, for others to join: those that load what is missing, and those that only look, apart. */
export class Flights {
  readonly #loading = new Map<string, Item>()
  readonly #looking = new Map<string, Item>()

  readonly #onJoin: (item: Item) => void

  constructor(onJoin: (item: Item) => void) {
    this.#onJoin = onJoin
  }

  get size(): number {
    return this.#loading.size + this.#looking.size
  }

  /** Keys that begin with `prefix`. */
  keys(prefix: string): string[] {
    return [...this.#loading.keys(), ...this.#looking.keys()].filter((key) => key.startsWith(prefix))
  }

  join(key: string, loads: boolean): Item | undefined {
    const item = this.#of(loads).get(key)
    if (item !== undefined) this.#onJoin(item)
    return item
  }

  add(item: Item, loads: boolean): void {
    this.#of(loads).set(item.key, item)
  }

  /** Only itself: a later one of the same key stays. */
  end(item: Item, loads: boolean): void {
    const flights = this.#of(loads)
    if (flights.get(item.key) === item) flights.delete(item.key)
  }

  /** What began before a change is not for readers that come after it. Null, or a tag, whose keys nobody knows: all. */
  forget(keys: readonly string[] | null): void {
    if (keys === null || keys.some((key) => key.startsWith(TAG_PREFIX))) {
      this.#loading.clear()
      this.#looking.clear()
      return
    }
    for (const key of keys) {
      this.#loading.delete(key)
      this.#looking.delete(key)
    }
  }

  #of(loads: boolean): Map<string, Item> {
    return loads ? this.#loading : this.#looking
  }
}
