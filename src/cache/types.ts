import type { Duration } from '../config/duration.ts'

/** Where a value came from; `origin` is a miss. */
export type Tier = 'memory' | 'redis' | 'origin'

/** What had put a value there: warming, or a reader's miss. `unknown`: the application itself, or another program. */
export type FilledBy = 'warm' | 'read' | 'unknown'

/** One read, told to the end. */
export interface CacheResult<T> {
  /** `undefined`: the origin has none, or there was none and nothing to load it with. As JSON gives it back: a Date is text. Read-only: it is frozen. */
  value: T | undefined
  tier: Tier
  /** `hit`: found; `stale`: found, in its grace, and being refreshed; `miss`: loaded, or not there. */
  status: 'hit' | 'stale' | 'miss'
  filledBy: FilledBy
  /** What is left until it is due for a refresh, ms; 0 for a miss that was not cached, negative within its grace. */
  ttlMs: number
}

export interface LoadContext {
  /** Aborts at `loadTimeout` and when the cache is closed. */
  signal: AbortSignal
}

/** Loads one value from the origin; `undefined` or `null`: it has none. */
export type Load<T> = (key: string, context: LoadContext) => PromiseLike<T | null | undefined> | T | null | undefined

/** Loads many values at once: a Map or an object from key to value, or a list in the keys' order. */
export type LoadMissing<T> = (keys: string[], context: LoadContext) => PromiseLike<Loaded<T>> | Loaded<T>
export type Loaded<T> =
  | ReadonlyMap<string, T | null | undefined>
  | Readonly<Record<string, T | null | undefined>>
  | readonly (T | null | undefined)[]

/** How an entry is kept. What is absent is the keyspace's, then the cache's own. */
export interface EntryOptions {
  /** How long the value is fresh, ms or text. 1 ms to 10 years. @default the keyspace's ttl, else `defaultTtl` (1 h) */
  ttl?: Duration
  /**
   * How long after that it may still be served while one reader refreshes it; at most half of the ttl. 0: never.
   *
   * @default `grace` (30 s) of what is loaded; 0 for `set`, and for reads of what was set
   */
  grace?: Duration
  /** Tags to invalidate it by. Its text in Redis then begins with a header, which other programs would see. @default [] */
  tags?: readonly string[]
}

export interface GetOptions<T> extends EntryOptions {
  /** @default the keyspace's own, where the key has one */
  load?: Load<T>
  /** How long "the origin has none" is remembered. 0: not at all. @default `negativeTtl` (10 s) */
  negativeTtl?: Duration
  /** Loads in any case, and replaces what is there. @default false */
  fresh?: boolean
  /** Ends this caller's wait, with the signal's reason; a load that others wait for goes on. */
  signal?: AbortSignal
}

export interface SetOptions extends EntryOptions {
  /** An integer or a time that only grows: an older one does not replace a newer one. */
  version?: number | bigint | Date | string
}

/** What became of a write: `skipped_newer` if a newer value, or an invalidation, came first. */
export type SetOutcome = 'written' | 'skipped_newer'

export interface WrapOptions<A extends readonly unknown[]> extends EntryOptions {
  /** The key for a call's arguments. @default the function's name, then the arguments as JSON: `loadCities:["de"]` */
  key?: (...args: A) => string
  negativeTtl?: Duration
}

/** The two-layer cache that an application reads through: memory, then Redis, then the origin. */
export interface CacheFacade {
  /** The value, or `undefined` if there is none, or if Redis can't be asked and nothing loads it. @throws what `load` throws, if nothing else can answer */
  get<T = unknown>(key: string, options?: GetOptions<T>): Promise<T | undefined>
  /** As `get`, and where the value came from. */
  read<T = unknown>(key: string, options?: GetOptions<T>): Promise<CacheResult<T>>
  /** Those of `keys` that have a value; one call of `loadMissing` loads all that is in no layer. */
  getMany<T = unknown>(
    keys: readonly string[],
    loadMissing?: LoadMissing<T>,
    options?: Omit<GetOptions<T>, 'load'>,
  ): Promise<Map<string, T>>
  /**
   * @throws {PrewarmError} `KEY_INVALID`, `USAGE`, `VALUE_INVALID`, `VERSION_INVALID`: nothing was written; `STORE_REFUSED` (no
   * memory); `STORE_UNREACHABLE`: it can't be told
   */
  set(key: string, value: unknown, options?: SetOptions): Promise<SetOutcome>
  setMany(entries: Iterable<readonly [string, unknown]>, options?: EntryOptions): Promise<void>
  /**
   * Deletes, and keeps every load that is in flight anywhere from bringing the old value back. Returns how many were there.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`: the old value may still be in Redis
   */
  delete(...keys: (string | readonly string[])[]): Promise<number>
  /** True if a value is cached; loads nothing. @throws {PrewarmError} `STORE_UNREACHABLE` */
  has(key: string): Promise<boolean>
  /** Nothing that bears one of these tags is served any more. @throws {PrewarmError} `STORE_UNREACHABLE` */
  invalidateTags(...tags: (string | readonly string[])[]): Promise<void>
  /** Deletes all keys that begin with `prefix`, which can't be empty. Returns how many. @throws {PrewarmError} `STORE_UNREACHABLE` */
  clear(prefix: string): Promise<number>
  /** Loads a value that nobody has asked for yet, and writes it unless something newer has come meanwhile. */
  warm<T>(key: string, options: Omit<GetOptions<T>, 'fresh'>): Promise<SetOutcome | 'no_value'>
  /** `fn`, read through the cache. */
  wrap<A extends readonly unknown[], R>(
    fn: (...args: A) => PromiseLike<R> | R,
    options?: WrapOptions<A>,
  ): (...args: A) => Promise<R | undefined>
  /** Ends every wait, closes the connection. Safe to call twice. */
  close(): Promise<void>
}

/** What a cache tells of each read; it must be cheap. */
export interface ReadTold {
  key: string
  /** Name of the key's task, or null. */
  keyspace: string | null
  tier: Tier
  status: CacheResult<unknown>['status']
  filledBy: FilledBy
  durationNs: number
  /** Identifies the entry that was read: when it expires, ms since 1970 by Redis' clock; 0 where that is not known. */
  expiresAtMs: number
}

/** Hears of what happens in a cache. No method may throw. */
export interface CacheObserver {
  read(told: ReadTold): void
  /** A layer could not be asked, or a load failed. */
  error(of: { keyspace: string | null; tier: Tier }): void
  /** Keys, or tags, were invalidated by this process. */
  invalidated(count: number): void
  /** `warm` has written a value that lives for so long. */
  warmed?(of: { keyspace: string | null; ttlMs: number }): void
}
