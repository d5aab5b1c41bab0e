import type { Failure } from '../errors.ts'

/** A range of a query's order key, from a boundary (inclusive) up to the next one (exclusive), as SQL literals; null is open. */
export interface RowRange {
  from: readonly string[] | null
  to: readonly string[] | null
  /** At most this many rows, where the plan was cut short. */
  limit: number | null
}

/** What a batch asks of the origin: keys by name, one range of rows, or the next page of a stream. */
export type Work =
  | { kind: 'keys'; keys: readonly string[] }
  | { kind: 'range'; range: RowRange }
  | { kind: 'page'; stream: string; rows: number; limit: number | null }

/** One value as the origin gave it; the codec makes it a Redis value. */
export interface SourceRecord {
  key: string
  /** A flat list of fields and values, an object, or text: what the task's codec takes. */
  value: unknown
  /** Comparable form (see `versionText`), present if the task declares a version. */
  version?: string
}

export interface ReadFailure {
  /** Null if the row did not even yield a key. */
  key: string | null
  failure: Failure
  /** It may pass: another try can help. */
  retryable: boolean
  /** The origin asked to be left alone for so long: no failure of the key's, and to be tried again after that. */
  retryAfterMs?: number
}

/** What one read brought. Every key asked for, or row found, is in `records` or in `failures`. */
export interface ReadResult {
  records: SourceRecord[]
  failures: ReadFailure[]
  /** Rows that named a key already named in this page; the last one stays. */
  duplicates: number
  /** Requests that the origin got. */
  requests: number
  /** How long it paused of its own accord, between requests. */
  pausedMs?: number
  /** A stream's last page, or anything that is not a stream. */
  done: boolean
  /** What a page of a stream was read under: taken before the stream was opened. */
  ticket?: string
}

/** Reads one task's values. Lives in one thread; closed when the thread ends. */
export interface Origin {
  /** @throws {PrewarmError} `ORIGIN_*` if the whole read failed */
  read(work: Work, options: ReadOptions): Promise<ReadResult>
  close(): Promise<void>
}

export interface ReadOptions {
  params: Readonly<Record<string, unknown>>
  timeoutMs: number
  signal: AbortSignal
  /** Shortest time between two requests of this read, ms; for origins that make several. */
  requestIntervalMs: number
  /** W3C trace id of the job. */
  traceId: string
  /** Called when the read itself begins: a page of a stream may first wait for the page before it. */
  onBegin?: () => void
  /** Takes the store's ticket. A stream calls it once, before it opens; for any other read its caller does. */
  takeTicket?: () => Promise<string>
}
