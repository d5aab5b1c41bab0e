/** One hot key. Its value is not kept: that comes from the origin. */
export interface SnapshotEntry {
  key: string
  /** The predictor's; only the order counts. */
  score: number
  /** ms it had left to live when it was saved; -1: it never expires, null: it was not in Redis. */
  ttlMs: number | null
}

/** What stands at the head of a snapshot. */
export interface SnapshotHeader {
  /** Of what its keys mean: see `configVersion`. */
  config: string
  /** ms since 1970 */
  savedAtMs: number
  keys: number
}

/** A ranked list of hot keys, hottest first. */
export interface Snapshot extends SnapshotHeader {
  entries: SnapshotEntry[]
}

/** Where a snapshot is kept. */
export interface SnapshotTarget {
  /** As the user named it. */
  readonly name: string
  /** Longer lists are cut here: the hottest are kept. */
  readonly maxKeys: number
  /**
   * Its whole text; null: there is none.
   *
   * @throws {PrewarmError} `SNAPSHOT_INVALID` if it can't be read (`detail` 'other': it is no snapshot at all), `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  read(): Promise<string | null>
  /** Its first line; null: there is none. @throws as `read` */
  readHead(): Promise<string | null>
  /**
   * Replaces it as a whole: who reads, or a crash, finds the old one or the new one. Not once `signal` has aborted.
   *
   * @throws {PrewarmError} `SNAPSHOT_INVALID` if it can't be written, `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  write(text: string, signal: AbortSignal): Promise<void>
}
