import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { TAG_PREFIX } from './scripts.ts'
import type { CacheLink } from './tier.ts'
import type { FilledBy } from './types.ts'

/** What memory holds of a key. */
export interface Kept {
  /** Frozen; `undefined`: the origin has none. */
  value: unknown
  /** Until when it is fresh, ms of the process's clock. */
  freshUntilMs: number
  /** See `ReadTold`. */
  expiresAtMs: number
  filledBy: FilledBy
  keyspace: string | null
  tags: readonly string[]
}

/** A question to Redis whose answer memory may keep, unless its key is changed before that. */
export interface Asked {
  readonly key: string
  /** Nothing may be kept: a change was heard of since, or nobody would hear of one. */
  isVoid: boolean
}

export interface MemoryOptions {
  /** Entries. 0: keeps nothing. */
  maxItems: number
  /** Bound on the sum of the entries' sizes; absent: none. */
  maxBytes: number | undefined
  /** Longest time an entry is kept without being looked at in Redis again, ms. */
  ttlMs: number
  clock: Clock
  /** Whether changes by others are heard now. */
  hearing: () => CacheLink['hearing']
}

/**
 * The first layer: what this process read lately. It keeps only what it would hear a change of, from before it asked Redis;
 * a lost connection empties it.
 */
export class MemoryLayer {
  readonly #entries: LRUCache<string, Kept> | undefined
  readonly #asked = new Map<string, Set<Asked>>()
  readonly #clock: Clock
  readonly #ttlMs: number
  readonly #hearing: () => CacheLink['hearing']
  readonly #isSized: boolean

  constructor({ maxItems, maxBytes, ttlMs, clock, hearing }: MemoryOptions) {
    this.#clock = clock
    this.#ttlMs = ttlMs
    this.#hearing = hearing
    this.#isSized = maxBytes !== undefined
    if (maxItems === 0) return
    this.#entries = new LRUCache<string, Kept>({
      max: maxItems,
      ...(maxBytes === undefined ? {} : { maxSize: maxBytes }),
      ttl: ttlMs,
      ttlResolution: 0,
      // Of the process, which nobody sets back; 0 would mean: never.
      perf: { now: () => 1 + clock.nowNs() / 1e6 },
    })
  }

  get size(): number {
    return this.#entries?.size ?? 0
  }

  /** Questions whose answers are on their way. */
  get asking(): number {
    let count = 0
    for (const all of this.#asked.values()) count += all.size
    return count
  }

  /** Keys that begin with `prefix`. */
  keys(prefix: string): string[] {
    return [...(this.#entries?.keys() ?? [])].filter((key) => key.startsWith(prefix))
  }

  get(key: string): Kept | undefined {
    return this.#entries?.get(key)
  }

  /** Call before Redis is asked; give it to `keep`, then to `done`. */
  ask(key: string): Asked {
    const asked = { key, isVoid: this.#hearing() === 'nothing' }
    if (this.#entries === undefined) return asked
    const others = this.#asked.get(key)
    if (others === undefined) this.#asked.set(key, new Set([asked]))
    else others.add(asked)
    return asked
  }

  /** Keeps what Redis answered, unless the key was changed since `ask`. @param bytes about what it takes */
  keep(asked: Asked, kept: Kept, bytes: number): void {
    if (asked.isVoid) return
    const ttl = Math.min(this.#ttlMs, kept.freshUntilMs - this.#clock.nowMs())
    if (ttl < 1) return
    this.#entries?.set(asked.key, kept, this.#isSized ? { ttl, size: Math.ceil(bytes + ENTRY_BYTES) } : { ttl })
  }

  /**
   * Keeps what this process has written, of which nobody else tells it. Answers that are on their way may be from before that,
   * and of two writes the one that ends last need not be the last one: then nothing is kept.
   */
  wrote(asked: Asked, kept: Kept, bytes: number): void {
    const { isVoid } = asked
    this.drop([asked.key])
    if (!isVoid) this.keep({ key: asked.key, isVoid }, kept, bytes)
  }

  done(asked: Asked): void {
    const others = this.#asked.get(asked.key)
    others?.delete(asked)
    if (others?.size === 0) this.#asked.delete(asked.key)
  }

  /** Forgets keys, and tags' entries; null: everything. Answers that are on their way are not kept either. */
  drop(keys: readonly string[] | null): void {
    if (keys === null) {
      this.#entries?.clear()
      this.#voidAll()
      return
    }
    for (const key of keys) {
      this.#entries?.delete(key)
      for (const asked of this.#asked.get(key) ?? []) asked.isVoid = true
      if (key.startsWith(TAG_PREFIX)) this.dropTag(key.slice(TAG_PREFIX.length))
    }
  }

  dropTag(tag: string): void {
    for (const [key, { tags }] of this.#entries?.entries() ?? []) if (tags.includes(tag)) this.#entries?.delete(key)
    // What bears the tag is not known before the answer.
    this.#voidAll()
  }

  #voidAll(): void {
    for (const all of this.#asked.values()) for (const asked of all) asked.isVoid = true
  }
}

/** About what an entry takes besides its value. */
const ENTRY_BYTES = 200
