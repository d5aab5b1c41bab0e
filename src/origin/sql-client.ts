import type { Sql } from 'postgres'

/** The narrow part of a Postgres connection that prewarm needs; `postgres.ts` implements it over postgres.js. */
export interface SqlClient {
  /**
   * postgres.js itself, for users' functions: values as it gives them.
   * Queries made through it are cancelled at the server when `signal` aborts.
   */
  user(signal: AbortSignal): Sql
  /**
   * Runs one read-only query under its own statement timeout.
   *
   * @throws {PrewarmError} `ORIGIN_TIMEOUT`, `ORIGIN_UNREACHABLE`, `ORIGIN_FAILED`, `JOB_CANCELLED`
   */
  rows(query: Statement, options: QueryOptions): Promise<RowSet>
  /** A cursor over one query, in a read-only transaction of its own; each fetch is a statement with its own timeout. */
  cursor(query: Statement, options: QueryOptions): RowCursor
  close(): Promise<void>
}

export interface QueryOptions {
  /** `'text'`: Postgres' text form. `'js'`: as postgres.js parses it. */
  as: 'text' | 'js'
  timeoutMs: number
  signal: AbortSignal
}

/** A task's query with text around it. */
export interface Statement {
  before: string
  /** Text with `$1` … and its values, or a function that builds a query from the connection it is given. */
  query: { text: string; args: readonly unknown[] } | ((sql: Sql) => unknown)
  after: string
}

export interface RowSet {
  columns: readonly string[]
  rows: unknown[][]
}

export interface RowCursor {
  /** Up to `count` rows; fewer mean that it was the last page. */
  next(count: number, signal: AbortSignal): Promise<RowSet>
  /** Ends the transaction. Never throws; safe to call twice. */
  close(): Promise<void>
}

/** A query that is never wrong: whatever fails, the database can't be used. */
export const PING: Statement = { before: 'select 1', query: { text: '', args: [] }, after: '' }
