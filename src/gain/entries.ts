import type { ReadTold } from '../cache/types.ts'
import { gainBucketOf, OTHER } from './buckets.ts'

/** Entries as Redis is told of them, of one keyspace and one bucket. */
export interface EntryGroup {
  bucket: number
  keyspace: string
  entries: string[]
}

/**
 * Which warmed entries were read, in bounded memory: those that Redis has not been told of, and those that it was told of
 * lately, so that a hot key is told once. An entry is a key and when it expires: the next warming makes another one.
 */
export class ReadEntries {
  readonly #capacity: number
  /** Two generations: when the younger is full the older one is forgotten, which costs less than an order of use. */
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  readonly #unsent: { key: string; keyspace: string; expiresAtMs: number }[] = []
  #dropped = 0

  /** @param capacity entries that wait, and entries of a generation */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get waiting(): number {
    return this.#unsent.length
  }

  /** Entries that there was no room for, while Redis was away or too slow: they will count as never read. */
  get dropped(): number {
    return this.#dropped
  }

  note({ key, keyspace, filledBy, expiresAtMs }: ReadTold): void {
    if (filledBy !== 'warm' || !(expiresAtMs > 0)) return
    if (this.#young.get(key) === expiresAtMs) return
    if (this.#unsent.length >= this.#capacity) {
      // Not remembered as told: a later read may find room.
      this.#dropped++
      return
    }
    const isTold = this.#old.get(key) === expiresAtMs
    if (this.#young.size >= this.#capacity) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, expiresAtMs)
    if (!isTold) this.#unsent.push({ key, keyspace: keyspace ?? OTHER, expiresAtMs })
  }

  /** Those that Redis has not been told of and that expire by `untilMs`, in groups of at most `chunk`. They are told of now. */
  take(chunk: number, untilMs: number): EntryGroup[] {
    const open = new Map<string, EntryGroup>()
    const groups: EntryGroup[] = []
    for (const { key, keyspace, expiresAtMs } of this.#unsent.splice(0)) {
      if (expiresAtMs > untilMs) continue
      const bucket = gainBucketOf(expiresAtMs)
      const name = `${bucket}:${keyspace}`
      let group = open.get(name)
      if (group === undefined || group.entries.length >= chunk) {
        group = { bucket, keyspace, entries: [] }
        open.set(name, group)
        groups.push(group)
      }
      group.entries.push(`${key}@${expiresAtMs}`)
    }
    return groups
  }
}
