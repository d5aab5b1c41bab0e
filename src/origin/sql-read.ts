import { rowForm, type SqlTask } from '../config/task.ts'
import { PrewarmError, toFailure } from '../errors.ts'
import type { KeyParams } from '../keyspace/template.ts'
import { isOlderVersion, versionText } from '../keyspace/version.ts'
import { columnsStatement, keysStatement, rangeStatement, streamStatement } from './ranges.ts'
import type { RowCursor, RowSet, SqlClient } from './sql-client.ts'
import type { Origin, ReadFailure, ReadOptions, ReadResult, SourceRecord, Work } from './types.ts'

/**
 * The origin of a `sql` task: its rows, a range or a page at a time, or those of named keys.
 *
 * Keys by name are looked for among the rows that the query gives: what its own `limit` or `where` leaves out is not found.
 * A key is found if Postgres reads its values back as the columns' own, and the row then gives the very same key: `k:01` does not
 * find the row of the integer 1, and for `json`, whose times are in milliseconds, a time with microseconds is not found.
 */
export class SqlOrigin implements Origin {
  readonly #task: SqlTask
  readonly #client: SqlClient
  readonly #as: 'text' | 'js'
  readonly #streams = new Map<string, Stream>()

  constructor(task: SqlTask, client: SqlClient) {
    this.#task = task
    this.#client = client
    this.#as = rowForm(task)
  }

  async read(work: Work, options: ReadOptions): Promise<ReadResult> {
    const { timeoutMs, signal } = options
    if (work.kind === 'range') {
      const query = rangeStatement(this.#task, options.params, work.range)
      const rows = await this.#client.rows(query, { as: this.#as, timeoutMs, signal })
      return { ...toRecords(this.#task, rows), requests: 1, done: true }
    }
    return work.kind === 'page' ? this.#nextPage(work, options) : this.#named(work.keys, options)
  }

  /** One request; a second one where a key's value can't be of its column's type. */
  async #named(keys: readonly string[], options: ReadOptions): Promise<ReadResult> {
    const { key: template } = this.#task
    const failures = new Map<string, ReadFailure>()
    const asked = new Map<string, KeyParams>()
    for (const key of keys) {
      const ids = template.match(key)
      if (ids === null) failures.set(key, keyFailure(key, 'KEY_INVALID', `'${key}' is no key of '${template.source}'`))
      else asked.set(key, ids)
    }
    // No text in Postgres holds a NUL, or half a character.
    const ids = [...asked.values()].filter((one) => Object.values(one).every(isStorable))
    const found = ids.length === 0 ? NOTHING : await this.#rowsOf(ids, options)
    const records = found.records.filter(({ key }) => asked.delete(key))
    for (const failure of found.failures)
      if (failure.key !== null && asked.delete(failure.key)) failures.set(failure.key, failure)
    for (const key of asked.keys())
      failures.set(key, keyFailure(key, 'ORIGIN_NO_VALUE', `The origin has no value for '${key}'`))
    const { duplicates, requests } = found
    return { records, failures: [...failures.values()], duplicates, requests, done: true }
  }

  async #rowsOf(ids: readonly KeyParams[], { params, timeoutMs, signal }: ReadOptions): Promise<Found> {
    const options = { as: this.#as, timeoutMs, signal }
    const task = this.#task
    const read = async (as: 'typed' | 'text') => this.#client.rows(keysStatement(task, params, ids, as), options)
    try {
      return { ...toRecords(task, await read('typed')), requests: 1 }
    } catch (error) {
      const state = error instanceof PrewarmError ? (error.detail ?? '') : ''
      // The error that tells which columns there are, unless the query itself asks for one that is not there.
      if (state === NO_COLUMN) toRecords(task, await this.#client.rows(columnsStatement(task, params), options))
      if (!NOT_OF_THE_TYPE.test(state)) throw error
    }
    return { ...toRecords(task, await read('text')), requests: 2 }
  }

  /** Pages of one stream are read one after the other, whoever asks. */
  #nextPage(work: Work & { kind: 'page' }, options: ReadOptions): Promise<ReadResult> {
    let stream = this.#streams.get(work.stream)
    if (stream === undefined) {
      const query = streamStatement(this.#task, options.params)
      const cursor = this.#client.cursor(query, { as: this.#as, timeoutMs: options.timeoutMs, signal: options.signal })
      // All pages show the rows as they were when the cursor was opened: what changes after this ticket is not in them.
      const ticket = Promise.resolve(options.takeTicket?.())
      ticket.catch(() => {})
      stream = { cursor, ticket, left: work.limit ?? Number.POSITIVE_INFINITY, tail: Promise.resolve() }
      this.#streams.set(work.stream, stream)
    }
    const current = stream
    const page = current.tail.then(async (): Promise<ReadResult> => {
      const count = Math.min(work.rows, current.left)
      if (count <= 0) return { records: [], failures: [], duplicates: 0, requests: 0, done: true }
      try {
        const ticket = await current.ticket
        options.onBegin?.()
        const rows = await current.cursor.next(count, options.signal)
        current.left = rows.rows.length < work.rows ? 0 : current.left - rows.rows.length
        if (current.left <= 0) await this.closeStream(work.stream)
        const bears = ticket === undefined ? {} : { ticket }
        return { ...toRecords(this.#task, rows), ...bears, requests: 1, done: current.left <= 0 }
      } catch (error) {
        current.left = 0
        await this.closeStream(work.stream)
        throw error
      }
    })
    current.tail = page.catch(() => {})
    return page
  }

  /** Forgets a stream and frees its connection. A finished stream answers further pages with nothing. */
  async closeStream(id: string): Promise<void> {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.left = 0
    await stream.cursor.close()
    // Remembered for a while, for pages still on their way: they must not open it again.
    for (const [old, { left }] of this.#streams) {
      if (this.#streams.size <= MAX_REMEMBERED) break
      if (left <= 0) this.#streams.delete(old)
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#streams.keys()].map((id) => this.closeStream(id)))
    this.#streams.clear()
  }
}

type Found = Omit<ReadResult, 'done'>

const NOTHING: Found = { records: [], failures: [], duplicates: 0, requests: 0 }

/** SQLSTATEs: a literal that its column's type can't hold, or a type without `=` (json). */
const NOT_OF_THE_TYPE = /^(22P02|22003|22007|22008|22023|42883)$/
const NO_COLUMN = '42703'

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

function keyFailure(key: string, code: 'KEY_INVALID' | 'ORIGIN_NO_VALUE', message: string): ReadFailure {
  return { key, failure: { code, message, key }, retryable: false }
}

/** Ended streams that are remembered. */
const MAX_REMEMBERED = 100

interface Stream {
  cursor: RowCursor
  ticket: Promise<string | undefined>
  left: number
  tail: Promise<unknown>
}

/** Rows as records: key from the template, value from the wanted columns. A bad row fails alone. */
export function toRecords(task: SqlTask, { columns, rows }: RowSet): Omit<ReadResult, 'requests' | 'done'> {
  const records = new Map<string, SourceRecord>()
  const failures: ReadFailure[] = []
  const wanted = wantedColumns(task, columns)
  const keyColumns = task.key.names.map(
    (name) => [name, columnIndex(columns, name, `key '${task.key.source}'`)] as const,
  )
  const versionColumn = typeof task.version === 'string' ? columnIndex(columns, task.version, 'version') : -1
  let duplicates = 0
  const ids: Record<string, unknown> = {}
  for (const row of rows) {
    let key: string | null = null
    try {
      for (const [name, index] of keyColumns) ids[name] = row[index]
      key = task.key.format(ids)
      const record: SourceRecord = { key, value: rowValue(task, wanted, row) }
      if (versionColumn >= 0) record.version = versionText(row[versionColumn])
      else if (typeof task.version === 'function') record.version = versionText(task.version(rowObject(columns, row)))
      const earlier = records.get(key)
      if (earlier !== undefined) duplicates++
      // The later row stays, unless it bears an older version.
      if (!isOlderVersion(record.version, earlier?.version)) records.set(key, record)
    } catch (error) {
      failures.push({
        key,
        failure: { ...toFailure(error, 'VALUE_INVALID'), ...(key === null ? {} : { key }) },
        retryable: false,
      })
    }
  }
  return { records: [...records.values()], failures, duplicates }
}

type Wanted = readonly { name: string; index: number }[]

function wantedColumns(task: SqlTask, columns: readonly string[]): Wanted {
  const names = typeof task.value === 'object' ? [task.value.column] : (task.columns ?? columns)
  return names.map((name) => ({ name, index: columnIndex(columns, name, 'value') }))
}

function columnIndex(columns: readonly string[], name: string, what: string): number {
  const index = columns.indexOf(name)
  if (index === -1) {
    throw new PrewarmError(
      'ORIGIN_FAILED',
      `The query gives no column '${name}' for the ${what}: it gives ${columns.join(', ')}`,
    )
  }
  return index
}

function rowValue(task: SqlTask, wanted: Wanted, row: readonly unknown[]): unknown {
  if (typeof task.value === 'object') return row[(wanted[0] as Wanted[number]).index]
  if (task.value === 'hash') {
    const fields: string[] = []
    for (const { name, index } of wanted) {
      const value = row[index]
      if (value !== null) fields.push(name, value as string)
    }
    return fields
  }
  const object: Record<string, unknown> = {}
  for (const { name, index } of wanted) object[name] = row[index]
  return object
}

function rowObject(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(columns.map((name, index) => [name, row[index]]))
}
