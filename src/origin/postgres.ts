import { readFileSync } from 'node:fs'
import postgres, { type PendingQuery, type Sql, type TransactionSql } from 'postgres'
import { bounded } from '../clock.ts'
import type { TlsOptions } from '../config/define.ts'
import { PrewarmError } from '../errors.ts'
import { postgresError } from './failure.ts'
import type { QueryOptions, RowCursor, RowSet, SqlClient, Statement } from './sql-client.ts'

export interface PostgresOptions {
  url: string
  /** Connections of each of the two pools (text form, JavaScript values). Both open on first use. */
  maxConnections: number
  tls?: TlsOptions | undefined
}

/** OIDs that postgres.js would parse; read as text instead. */
const PARSED = [16, 17, 20, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802]

/** OIDs of arrays: read as text too, and written as Postgres' array literals. */
const ARRAYS = [1000, 1005, 1007, 1009, 1015, 1016, 1021, 1022, 1115, 1182, 1185, 1231, 2951]

const arrayText = (value: unknown): string => {
  if (!Array.isArray(value)) return String(value)
  const items = value.map((item) => {
    if (item === null) return 'NULL'
    return Array.isArray(item) ? arrayText(item) : `"${asText(item).replace(/["\\]/g, '\\$&')}"`
  })
  return `{${items.join(',')}}`
}

const asText = (value: unknown) =>
  value instanceof Date ? value.toISOString() : typeof value === 'object' ? JSON.stringify(value) : String(value)

/** A {@linkcode SqlClient} over postgres.js. Opens nothing until it is used. */
export function openPostgres({ url, maxConnections, tls }: PostgresOptions): SqlClient {
  const pools: Partial<Record<QueryOptions['as'], Sql>> = {}
  const open = (as: QueryOptions['as']): Sql => {
    pools[as] ??= postgres(url, {
      max: maxConnections,
      connect_timeout: 5,
      idle_timeout: 30,
      onnotice: () => {},
      connection: { application_name: 'prewarm' },
      ...tlsSettings(tls),
      ...(as === 'text'
        ? {
            fetch_types: false,
            types: {
              text: { to: 25, from: PARSED, serialize: asText, parse: (x: string) => x },
              arrays: { to: 1009, from: ARRAYS, serialize: arrayText, parse: (x: string) => x },
            },
          }
        : {}),
    })
    return pools[as]
  }
  /** Gives up on connections that may hang; the next use opens new ones. */
  const abandon = (as: QueryOptions['as'], pool: Sql) => {
    if (pools[as] === pool) delete pools[as]
    void pool.end({ timeout: 0 }).catch(() => {})
  }

  const session = (query: Statement, options: QueryOptions) => {
    const pool = open(options.as)
    return new Session(pool, query, options, () => abandon(options.as, pool))
  }

  return {
    user: (signal) => cancellable(open('js'), signal),
    async rows(query, options) {
      const run = session(query, options)
      try {
        return await run.all(options.signal)
      } finally {
        await run.close()
      }
    },
    cursor(query, options) {
      return session(query, options)
    },
    async close() {
      const open = Object.values(pools)
      for (const as of ['text', 'js'] as const) delete pools[as]
      await Promise.all(open.map((pool) => pool.end({ timeout: 1 }).catch(() => {})))
    },
  }
}

/** Thrown inside a transaction to end it; nothing was written, so nothing is lost. */
const ROLLBACK = Symbol('rollback')

/** One read-only transaction on one connection. (postgres.js' `reserve` hangs on a connection that it opens itself.) */
class Session implements RowCursor {
  readonly #pool: Sql
  readonly #query: Statement
  readonly #options: QueryOptions
  readonly #abandon: () => void
  readonly #done = Promise.withResolvers<never>()
  #transaction: Promise<TransactionSql> | undefined
  #ended: Promise<unknown> | undefined
  #running: PendingQuery<never[]> | undefined
  #declared = false
  /**
   * Its connection is gone, and must not be used again: postgres.js would write to a socket that is null, and throw
   * from a timer where nobody can catch it, also for the `rollback` of its own that follows an error.
   */
  #isGone = false

  constructor(pool: Sql, query: Statement, options: QueryOptions, abandon: () => void) {
    this.#pool = pool
    this.#query = query
    this.#options = options
    this.#abandon = abandon
    this.#done.promise.catch(() => {})
  }

  async all(signal: AbortSignal): Promise<RowSet> {
    return this.#run(signal, (transaction) => rowSet(this.#active(statement(transaction, this.#query))))
  }

  async next(count: number, signal: AbortSignal): Promise<RowSet> {
    return this.#run(signal, async (transaction) => {
      if (!this.#declared) {
        this.#declared = true
        await this.#active(statement(transaction, this.#query, 'declare prewarm no scroll cursor for '))
      }
      return rowSet(this.#active(transaction.unsafe(`fetch ${count} from prewarm`)))
    })
  }

  /** Runs `work` in the transaction, bounded. */
  async #run(signal: AbortSignal, work: (transaction: TransactionSql) => Promise<RowSet>): Promise<RowSet> {
    try {
      if (this.#isGone)
        throw new PrewarmError('ORIGIN_UNREACHABLE', 'The connection to Postgres was lost between two pages')
      const running = this.#begin().then(work)
      // The server's own timeout fires first; ours is for a server that does not answer at all.
      const timeoutMs = this.#options.timeoutMs + 1000
      const cancel = ({ code }: PrewarmError) =>
        code === 'ORIGIN_TIMEOUT' ? this.#abandon() : cancelQuery(this.#running ?? {})
      return await bounded(running, { timeoutMs, signal, what: 'Reading from Postgres', cancel })
    } catch (error) {
      throw this.#noteLoss(postgresError(error))
    }
  }

  #noteLoss(error: PrewarmError): PrewarmError {
    this.#isGone ||= error.code === 'ORIGIN_UNREACHABLE'
    return error
  }

  /** Remembers a query, so that it can be cancelled at the server. */
  #active(query: PendingQuery<never[]>): PendingQuery<never[]> {
    this.#running = query
    return query
  }

  #begin(): Promise<TransactionSql> {
    this.#transaction ??= new Promise((resolve, reject) => {
      const timeoutMs = Math.max(1, Math.round(this.#options.timeoutMs))
      this.#ended = this.#pool
        .begin('read only', async (transaction) => {
          const settings = `set local statement_timeout = ${timeoutMs}; set local cursor_tuple_fraction = 1`
          await transaction.unsafe(settings).catch((error) => {
            this.#noteLoss(postgresError(error))
            reject(error)
            return this.#done.promise
          })
          resolve(transaction)
          await this.#done.promise
        })
        .catch((error) => {
          this.#isGone = true
          reject(error)
        })
    })
    return this.#transaction
  }

  async close(): Promise<void> {
    if (this.#ended === undefined || this.#isGone) return
    this.#done.reject(ROLLBACK)
    const { signal } = new AbortController()
    // If it does not end in time, its connection is gone, and the transaction with it.
    await bounded(this.#ended, { timeoutMs: 1000, signal, what: 'Ending a transaction', cancel: this.#abandon }).catch(
      () => {},
    )
  }
}

function statement(
  connection: TransactionSql,
  { before, query, after }: Statement,
  prefix = '',
): PendingQuery<never[]> {
  if (typeof query !== 'function')
    return connection.unsafe(prefix + before + query.text + after, [...query.args] as never[])
  const built = query(connection as unknown as Sql)
  if (typeof (built as PendingQuery<never[]> | null)?.execute !== 'function') {
    throw new PrewarmError(
      'ORIGIN_FAILED',
      'The query function returned no query: return sql`…` itself, not awaited, from a function that is not async',
    )
  }
  // What a tagged template would pass; the built query is a fragment of it.
  const strings = [prefix + before, after]
  const whole = connection(Object.assign(strings, { raw: strings }) as never, built as never) as PendingQuery<never[]>
  // Each batch is another text: prepared, they would fill both sides' memory for the connection's life.
  Object.assign((whole as unknown as { options: object }).options, { prepare: false })
  return whole
}

async function rowSet(query: PendingQuery<never[]>): Promise<RowSet> {
  const result = (await query.values()) as unknown as unknown[][] & { columns: { name: string }[] }
  return { columns: result.columns.map((column) => column.name), rows: result }
}

/**
 * As the query's own `cancel`, which asks the server over a new connection and drops what comes of it: where the server takes
 * none, nobody could handle that.
 */
function cancelQuery(query: object): void {
  const { canceller } = query as { canceller?: ((query: object) => Promise<void>) | null }
  canceller?.(query).catch(() => {})
}

/** `sql` whose queries end at the server when `signal` aborts: a deadline must not leave them running there. */
function cancellable(sql: Sql, signal: AbortSignal): Sql {
  const queries = new Set<object>()
  signal.addEventListener('abort', () => queries.forEach(cancelQuery), { once: true })
  const tracked = <T>(result: T): T => {
    if (typeof (result as { cancel?: unknown } | null)?.cancel === 'function') queries.add(result as never)
    return result
  }
  return new Proxy(sql, {
    apply: (target, self, args) => tracked(Reflect.apply(target, self, args)),
    get(target, name) {
      if (name === 'unsafe') return (...args: Parameters<Sql['unsafe']>) => tracked(target.unsafe(...args))
      return Reflect.get(target, name)
    },
  })
}

function tlsSettings(tls: TlsOptions | undefined): { ssl?: object } {
  if (tls === undefined) return {}
  return { ssl: tlsFiles(tls) }
}

/** PEM files read into what node's TLS takes. */
export function tlsFiles({ caFile, certFile, keyFile, rejectUnauthorized = true }: TlsOptions): object {
  const read = (file: string | undefined, name: string) =>
    file === undefined ? {} : { [name]: readFileSync(file, 'utf8') }
  return { rejectUnauthorized, ...read(caFile, 'ca'), ...read(certFile, 'cert'), ...read(keyFile, 'key') }
}
