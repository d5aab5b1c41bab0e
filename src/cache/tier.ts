import type { Encoded } from '../codec/types.ts'
import type { Script } from '../coordination/types.ts'
import type { FilledBy } from './types.ts'

/** The connection that a cache reads and writes through; it can run scripts, and hears of changes. */
export interface CacheLink {
  /**
   * Runs a script. Never waits for a connection that is lost: it rejects at once.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`; what failed with the first may have been carried out
   */
  script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    /** Keys that it reads without declaring them, and whose changes are to be heard of from before that on. */
    watched?: readonly string[],
  ): Promise<unknown>
  /** Plain commands in one go; what the server refuses is an error in its place. @throws as `script` */
  run?(commands: readonly (readonly (string | number)[])[]): Promise<unknown[]>
  /** Keys that match a glob, page by page; a key may come twice. @throws as `script` */
  scan(glob: string): AsyncIterable<string[]>
  /** Whether changes are heard now, so that memory may be trusted: by the server's tracking, or only what caches publish. */
  readonly hearing: 'tracking' | 'published' | 'nothing'
  close(): Promise<void>
}

/** What a {@linkcode CacheLink} tells. */
export interface ChangeListener {
  /** These keys (or tags' keys) were changed by somebody else. Null: any may have been, nothing in memory may be trusted. */
  onChanged(keys: readonly string[] | null): void
  /** Keys that another program deleted, told by keyspace events; comes after the fact. */
  onDeleted?(keys: readonly string[]): void
}

/** A value as Redis holds it. */
export type HeldValue = { type: 'string'; value: string } | { type: 'hash'; fields: Record<string, string> }

/** What the shared tier knows of a key. Times in ms. */
export type Found =
  | { state: 'held'; value: HeldValue; leftMs: number; expiresAtMs: number; filledBy: FilledBy }
  /** The origin has none. */
  | { state: 'absent'; leftMs: number }
  | { state: 'missing' }
  /** Not there, and it is ours to load: one for all processes. */
  | { state: 'leased'; lease: Lease }
  /** Not there, and another loads it; that ends in so many ms at the latest. */
  | { state: 'waiting'; leftMs: number }

/** Leave to load, and the moment it was given at. */
export interface Lease {
  /** '' where a load goes on without one. */
  token: string
  ticket: string
}

export interface Ask {
  key: string
  /** What the key's keyspace stores; another type is found, too, at a higher price. */
  form: 'string' | 'hash'
  /** Wants to load it if it is not there. */
  wantsLease: boolean
  /** What is there probably bears tags. */
  isTagged?: boolean
}

/** One value to write; `encoded` null: the origin has none. */
export interface Fill {
  key: string
  encoded: Encoded | null
  /** At least 1. */
  ttlMs: number
  /** As `versionText` gives it; kept beside the value. Over a newer one nothing is written. */
  version?: string | undefined
}

export interface Filled {
  outcome: 'written' | 'skipped_newer' | 'skipped_present'
  /** 0 where nothing was written. */
  expiresAtMs: number
}

/** The layer that all processes share. Every method throws `STORE_UNREACHABLE` or `STORE_REFUSED` when it can't tell. */
export interface SharedTier {
  read(asks: readonly Ask[]): Promise<Found[]>
  /** Takes a key's lease, whether it is there or not; null if another has it. */
  lease(key: string): Promise<Lease | null>
  /** A moment to load from without a lease. */
  ticket(): Promise<Lease>
  /** Gives leases back whose load came to nothing. Never throws. */
  release(keys: readonly string[], lease: Lease): Promise<void>
  /** Writes what was loaded under a lease, unless something newer has come. `replace`: over what is there. */
  fill(fills: readonly Fill[], options: { lease: Lease; replace: boolean; filledBy: FilledBy }): Promise<Filled[]>
  /** Writes what the application says. */
  set(sets: readonly (Fill & { encoded: Encoded })[], options: { filledBy: FilledBy }): Promise<Filled[]>
  /** Deletes, and refuses every load in flight. Returns how many were there. */
  delete(keys: readonly string[]): Promise<number>
  /**
   * Marks keys that another program was heard to delete, so that a load in flight is refused, and deletes what has landed since.
   * A key that was changed within the last second is only marked: the many who hear of one delete do that once.
   */
  heard(keys: readonly string[]): Promise<void>
  /** Refuses every load that is in flight, whatever its key. */
  barrier(): Promise<void>
  /** The versions of tags, in their order. */
  tagVersions(tags: readonly string[]): Promise<string[]>
  invalidateTags(tags: readonly string[]): Promise<void>
  scan(prefix: string): AsyncIterable<string[]>
  readonly hearing: CacheLink['hearing']
  close(): Promise<void>
}
