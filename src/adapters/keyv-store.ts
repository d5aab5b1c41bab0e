import { splitTags, withTags } from '../cache/tags.ts'
import type { Found, SharedTier } from '../cache/tier.ts'
import { PrewarmError } from '../errors.ts'
import { isOwnKey } from '../keyspace/known.ts'

/** For an entry without a TTL: Keyv says "for ever", a cache says ten years. */
const LONGEST_TTL_MS = 10 * 365 * 86_400_000

/** One entry as Keyv gives it: the key with Keyv's namespace before it, the value as text. */
export interface KeyvEntry {
  key: string
  value: unknown
  /** ms; none: it does not expire */
  ttl?: number | undefined
}

export interface KeyvStoreOptions {
  tier: SharedTier
  /** Without its password. */
  url: string
  namespace?: string | undefined
}

/**
 * Keyv's storage interface (5.x) on a {@linkcode SharedTier}.
 *
 * What Keyv does with an error differs by method, so this does, too: `set`, `delete`, `clear` and their many-forms reject, and
 * Keyv emits `error`; `get` emits `error` and rejects, and Keyv answers undefined (with `throwOnErrors` it rejects); `getMany`,
 * `has` and `hasMany`, which Keyv does not guard, emit `error` and answer as if nothing were there.
 */
export class KeyvStore {
  /** Keyv's own namespace; Keyv sets it, and puts it before the keys by itself. */
  // No field of its own: Keyv 6 would leave prefixing to a store that has one.
  declare namespace: string | undefined
  /** What Keyv looks at to learn that the store can be iterated. */
  readonly opts: { dialect: 'redis'; url: string; namespace: string | undefined; [more: string]: unknown }
  readonly #tier: SharedTier
  /** Stands before all keys in Redis: '' or the option `namespace` and a colon. */
  readonly #before: string
  readonly #listeners = new Map<string, Set<(...args: unknown[]) => void>>()
  /** A key that did not begin with Keyv's namespace. */
  #stray: string | undefined

  /** @throws {PrewarmError} `USAGE` for a namespace that is no text, or empty */
  constructor({ tier, url, namespace }: KeyvStoreOptions) {
    if (namespace !== undefined && (typeof namespace !== 'string' || namespace === '')) {
      const shown = namespace === '' ? "''" : String(namespace)
      throw new PrewarmError('USAGE', `namespace is ${shown}, expected text, or leave it out`)
    }
    this.#tier = tier
    this.#before = namespace === undefined ? '' : `${namespace}:`
    this.opts = { dialect: 'redis', url, namespace }
  }

  on(event: string, listener: (...args: unknown[]) => void): this {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
    return this
  }

  off(event: string, listener: (...args: unknown[]) => void): this {
    this.#listeners.get(event)?.delete(listener)
    return this
  }

  /** The stored text; Keyv's types would call it whatever the caller does. */
  async get<Value = string>(key: string): Promise<Value | undefined> {
    try {
      const [text] = await this.#read([key])
      return text as Value | undefined
    } catch (error) {
      this.#emit('error', error)
      throw error
    }
  }

  async getMany<Value = string>(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return (await this.#orNothing(keys, () => this.#read(keys))) as (Value | undefined)[]
  }

  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`, `VALUE_INVALID` for a value that is no text */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    return (await this.#setMany([{ key, value, ttl }]))[0] === true
  }

  /** A boolean for each. @throws as {@linkcode set}; then part of it may be written */
  // biome-ignore lint/suspicious/noExplicitAny: Keyv's type says void, and Keyv hands the list to its caller
  setMany(entries: readonly KeyvEntry[]): Promise<any> {
    return this.#setMany(entries)
  }

  /** True if it was there. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  delete(key: string): Promise<boolean> {
    return this.deleteMany([key])
  }

  /** True if at least one was there. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  async deleteMany(keys: readonly string[]): Promise<boolean> {
    return keys.length > 0 && (await this.#tier.delete(keys.map((key) => this.#full(key)))) > 0
  }

  /**
   * Deletes what is in the namespace, by SCAN.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`; `USAGE` if there is no namespace, or keys lie outside it
   */
  async clear(): Promise<void> {
    for await (const keys of this.#tier.scan(this.#scope('clear'))) await this.#tier.delete(keys)
  }

  async has(key: string): Promise<boolean> {
    const [has = false] = await this.hasMany([key])
    return has
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    const texts = await this.#orNothing(keys, () => this.#read(keys))
    return texts.map((text) => text !== undefined)
  }

  /** Keys and texts of the namespace; as with SCAN, one that is written meanwhile may be missing, one may come twice. @throws as {@linkcode clear} */
  async *iterator(namespace: string | undefined = this.namespace): AsyncGenerator<[string, string], void> {
    for await (const found of this.#tier.scan(this.#scope('iterator', namespace))) {
      const keys = found.map((key) => key.slice(this.#before.length))
      for (const [index, text] of (await this.#read(keys)).entries()) {
        if (text !== undefined) yield [keys[index] as string, text]
      }
    }
  }

  /** Closes the connection for good. Safe to call twice. */
  disconnect(): Promise<void> {
    return this.#tier.close()
  }

  async #setMany(entries: readonly KeyvEntry[]): Promise<boolean[]> {
    const sets = entries.map(({ key, value, ttl }) => ({
      key: this.#full(key),
      encoded: { type: 'string' as const, value: withTags(textOf(key, value), [], []) },
      ttlMs: ttlMsOf(ttl),
    }))
    const filled = await this.#tier.set(sets, { filledBy: 'unknown' })
    return filled.map(({ outcome }) => outcome === 'written')
  }

  async #read(keys: readonly string[]): Promise<(string | undefined)[]> {
    if (keys.length === 0) return []
    const asks = keys.map((key) => ({ key: this.#full(key), form: 'string' as const, wantsLease: false }))
    return (await this.#tier.read(asks)).map(heldText)
  }

  async #orNothing(keys: readonly string[], work: () => Promise<(string | undefined)[]>) {
    try {
      return await work()
    } catch (error) {
      this.#emit('error', error)
      return keys.map(() => undefined)
    }
  }

  #full(key: string): string {
    if (this.namespace !== undefined && !key.startsWith(`${this.namespace}:`)) this.#stray = key
    const full = this.#before + key
    if (!isOwnKey(full)) return full
    throw new PrewarmError('KEY_INVALID', `key '${full}' is one of prewarm's own records: choose another namespace`)
  }

  #scope(method: string, namespace = this.namespace): string {
    const prefix = this.#before + (namespace ? `${namespace}:` : '')
    if (prefix === '') {
      throw new PrewarmError(
        'USAGE',
        `namespace is empty: ${method} would take every key in Redis; give KeyvPrewarm or Keyv a namespace`,
      )
    }
    if (namespace && this.#stray !== undefined) {
      const message = `namespace is '${namespace}', and the key '${this.#stray}' lies outside it: give each Keyv a KeyvPrewarm of its own, and a Keyv without key prefix namespace: ''`
      throw new PrewarmError('USAGE', message)
    }
    return prefix
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...args)
  }
}

function heldText(found: Found): string | undefined {
  return found.state === 'held' && found.value.type === 'string' ? splitTags(found.value.value).text : undefined
}

function textOf(key: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new PrewarmError(
    'VALUE_INVALID',
    `value of '${key}' is ${value === null ? 'null' : typeof value}, expected text: leave Keyv a serialize that makes text`,
  )
}

function ttlMsOf(ttl: number | undefined): number {
  return ttl === undefined || !(ttl < LONGEST_TTL_MS) ? LONGEST_TTL_MS : Math.max(1, Math.ceil(ttl))
}
