import type { Encoded } from '../codec/types.ts'
import type { Fence } from '../coordination/types.ts'
import type { Failure } from '../errors.ts'
import type { Outcome, WriteMode } from '../types.ts'

/** One write. */
export interface Entry {
  key: string
  ttlMs: number
  encoded: Encoded
  /** Present when the task declares a version (see `versionText`). */
  version?: string | undefined
}

export interface WriteOptions {
  mode: WriteMode
  /** For `newer`: the field or property that holds the version in the value itself, so that others' writes count too. */
  versionField: string | null
  /** Bound on the whole call, ms. */
  timeoutMs: number
  signal: AbortSignal
  /** Nothing is written once somebody holds a newer one: each key has then failed with `LOCK_LOST`. Checked with each write, at the server. */
  fence?: Fence | undefined
  /**
   * What {@linkcode Store.begin} gave before the values were read. Keys that were changed through a cache since, or that a
   * reader has filled and that are there, are then `skipped_newer`; where the values' versions can be compared, that says
   * of a reader's value which is newer.
   */
  ticket?: string | undefined
}

/** Bounds on taking a ticket. */
export interface BeginOptions {
  /** @default 5000 */
  timeoutMs?: number
  signal?: AbortSignal
}

/** What became of each entry, in the entries' order. */
export interface WriteResult {
  outcomes: Outcome[]
  /** By index, for entries that failed or are unknown. */
  failures: Map<number, WriteFailure>
}

export interface WriteFailure {
  failure: Failure
  /** Another try can help, and can do no harm: the write surely did not happen. */
  retryable: boolean
  /** Only a value that is read anew may be tried: somebody else may have written since this one was read. */
  needsFreshRead?: boolean
}

/** What the server tells about its memory and hits. */
export interface StoreStats {
  version: string
  usedMemoryBytes: number
  /** 0: no bound. */
  maxMemoryBytes: number
  evictionPolicy: string
  evictedKeys: number
  keyspaceHits: number
  keyspaceMisses: number
}

/** How hot the server itself takes a key for. */
export interface KeyHeat {
  /** Under an LFU policy: its logarithmic counter, 0 to 255; 5 is a new key's. Null under any other. */
  counter: number | null
  /** Since it was last read or written, in whole seconds, ms. Null under an LFU policy. */
  idleMs: number | null
  /** By the server's clock, ms since 1970; null: never. */
  expiresAtMs: number | null
}

/** What the server tells of keys' heat. */
export interface StoreHeat {
  /** `counter` under an LFU policy, `idle` under any other, `noeviction` too. */
  by: 'counter' | 'idle'
  /** The server's clock when it was asked for the last of the keys, ms since 1970. */
  nowMs: number
  /** Expiry times are exact to the ms, so that {@linkcode filledByOf} can be asked; false before Redis 7.0. */
  exact: boolean
  /** In the keys' order; null: not there. */
  keys: (KeyHeat | null)[]
}

export type StoredValue =
  | { type: 'string'; value: string }
  | { type: 'hash'; fields: Record<string, string> }
  | { type: 'other'; name: string }

/** Where values go. */
export interface Store {
  /**
   * Resolves when the server answers.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE` after `timeoutMs`
   */
  connect(timeoutMs: number): Promise<void>
  /**
   * A ticket for what is read from now on (see {@linkcode WriteOptions.ticket}); `0` where nobody ever changed anything through a cache.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE` after `timeoutMs` or when `signal` aborts, `STORE_REFUSED`
   */
  begin(options?: BeginOptions): Promise<string>
  /** Writes a batch, whose keys are distinct, in one pipeline. Never throws: what went wrong stands beside the key it happened to. */
  write(entries: readonly Entry[], options: WriteOptions): Promise<WriteResult>
  /** ms to live of each key; -1: no expiry, -2: not there. */
  ttlsMs(keys: readonly string[]): Promise<number[]>
  /** Null: not there. */
  read(keys: readonly string[]): Promise<(StoredValue | null)[]>
  /** Bytes that each key takes, as the server counts them; 0: not there. */
  bytesOf(keys: readonly string[]): Promise<number[]>
  /**
   * How hot each key is, by `OBJECT FREQ` or `OBJECT IDLETIME`, whichever the server's policy has. Does not touch the keys.
   * Small pipelines: other clients are served in between.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  heatOf(keys: readonly string[]): Promise<StoreHeat>
  /** `count` keys by chance, some of them perhaps twice; none where there are none. Does not touch them. */
  randomKeys(count: number): Promise<string[]>
  /** Keys that match a glob, page by page, by SCAN: in the server's order, and a key may come twice. */
  scan(glob: string): AsyncIterable<string[]>
  /**
   * Deletes keys, and what is kept beside them; returns how many of `keys` were there. Marks them as changed, so that no load
   * that is in flight brings them back.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`; some may be deleted then
   */
  unlink(keys: readonly string[]): Promise<number>
  stats(): Promise<StoreStats>
  close(): Promise<void>
}
