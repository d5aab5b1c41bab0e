/** A key by its bytes: each character is one of them. Keys need be no text. */
export type RawKey = string

/** What is asked of a server first. */
export interface ServerFacts {
  /** Changes with each start of the server; empty where it does not tell. */
  runId: string
  database: number
  version: string
  /** What it keeps of its keys' heat: a counter under an LFU policy, else when they were last used. */
  heat: 'freq' | 'idle'
  /** Its clock, ms since 1970. */
  nowMs: number
}

/** One key as `DUMP` gives it. */
export interface Dumped {
  key: RawKey
  payload: Uint8Array
  /** By the source's clock, ms since 1970; null: never. */
  expiresAtMs: number | null
  /** Where it is kept beside the value. */
  version: string | null
  /** Under an LFU policy, 0 to 255. */
  freq: number | null
  /** Under any other, s. */
  idleS: number | null
}

/** A warm server. Nothing is written to it. */
export interface CopySource {
  server(): Promise<ServerFacts>
  /** By SCAN, page by page; a key may come twice. */
  scan(match: string): AsyncIterable<RawKey[]>
  /** Larger is hotter; null: not there. Does not touch the keys. */
  heatOf(keys: readonly RawKey[], by: ServerFacts['heat']): Promise<(number | null)[]>
  /** What each takes in memory; null: not there. */
  bytesOf(keys: readonly RawKey[]): Promise<(number | null)[]>
  /** Each as it was at one moment; null: not there. */
  dump(keys: readonly RawKey[], by: ServerFacts['heat']): Promise<(Dumped | null)[]>
}

/**
 * What became of one key at the target: `newer` it was changed, deleted, or is being loaded there; `full` the server has no
 * memory left.
 */
export type Restored = 'copied' | 'present' | 'newer' | 'expired' | 'full' | { failed: string }

/** A cold server. */
export interface CopyTarget {
  server(): Promise<ServerFacts>
  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  memory(): Promise<{ usedBytes: number; maxBytes: number }>
  present(keys: readonly RawKey[]): Promise<boolean[]>
  /** A ticket for what is read from now on: see `store/changes.ts`. */
  begin(): Promise<string>
  /** Adds keys; replaces none. In one step for each call, so that no change gets in between. */
  restore(dumped: readonly Dumped[], ticket: string): Promise<Restored[]>
}
