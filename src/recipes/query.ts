import type { Sql } from 'postgres'
import { bounded } from '../clock.ts'

/** For callers that bound it by their own signal. */
const LONGEST_MS = 60_000

export type Row = Record<string, unknown> & { id?: unknown; userId?: unknown }

/** Runs SQL text with parameters `$1` … over another driver than postgres.js; ends with the rows as objects. */
export type QueryFunction = (text: string, parameters: readonly unknown[]) => PromiseLike<readonly Row[]>

export interface Query {
  text: string
  parameters: readonly unknown[]
  /** For the error of one that takes too long. */
  what: string
}

/**
 * Runs one query. It is cancelled at the server, where that is postgres.js, when `signal` aborts or the time is over.
 *
 * @throws what the driver throws; {@linkcode PrewarmError} `ORIGIN_TIMEOUT`, `JOB_CANCELLED`
 */
export function runQuery(
  sql: Sql | QueryFunction,
  { text, parameters, what }: Query,
  { timeoutMs = LONGEST_MS, signal }: { timeoutMs?: number; signal: AbortSignal },
): Promise<readonly Row[]> {
  if (!isPostgres(sql)) return bounded(Promise.resolve(sql(text, parameters)), { timeoutMs, signal, what })
  const running = sql.unsafe<Row[]>(text, parameters as never[])
  return bounded(running, { timeoutMs, signal, what, cancel: () => cancel(running) })
}

/**
 * As the query's own `cancel`, which asks the server over a new connection and drops what comes of it: where the server takes
 * none, that would be a rejection that nobody can handle, and the end of the process.
 */
function cancel(query: object): void {
  const { canceller } = query as { canceller?: ((query: object) => Promise<void>) | null }
  canceller?.(query).catch(() => {})
}

function isPostgres(sql: Sql | QueryFunction): sql is Sql {
  return 'unsafe' in sql
}
