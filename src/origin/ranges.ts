import type { OrderColumn, SqlTask } from '../config/task.ts'
import type { KeyParams } from '../keyspace/template.ts'
import type { Params } from '../types.ts'
import type { Statement } from './sql-client.ts'
import type { RowRange } from './types.ts'

/** The task's query as it stands; with an order key that can't split it, in that order, so that the first rows are the hottest. */
export function streamStatement(task: SqlTask, params: Readonly<Params>): Statement {
  if (task.orderBy.length === 0) return wrap(task, params, '', '')
  return wrap(task, params, 'select q.* from (', `) q${orderClause(task)}`)
}

/** How many rows the task's query gives now. One column, `n`. */
export function countStatement(task: SqlTask, params: Readonly<Params>): Statement {
  return wrap(task, params, 'select count(*) as n from (', ') q')
}

/** The database's own guess of the row count, as one JSON plan. Costs nothing to run. */
export function guessStatement(task: SqlTask, params: Readonly<Params>): Statement {
  return wrap(task, params, 'explain (format json) ', '')
}

/** The first `rows` rows' key columns. */
export function sampleStatement(task: SqlTask, params: Readonly<Params>, rows: number): Statement {
  return wrap(
    task,
    params,
    `select ${task.key.names.map(quoted).join(', ')} from (`,
    `) q${orderClause(task)} limit ${rows}`,
  )
}

/**
 * The order key of every `pageRows`-th row, with `total` (all rows), `nulls` (rows without a full order key) and, last,
 * `before` (rows that come before all of this order key):
 * the boundaries of ranges that together cover every row, also rows that appear later. Postgres itself quotes them, as
 * literals that take the type of the column they are compared with: no driver's idea of a type comes between.
 */
export function boundariesStatement(task: SqlTask, params: Readonly<Params>, pageRows: number): Statement {
  const columns = task.orderBy.map(({ column }) => `q.${quoted(column)}`)
  const keys = columns.map((column, index) => `quote_literal(${column}::text) as k${index}`).join(', ')
  const isNull = columns.map((column) => `${column} is null`).join(' or ')
  return wrap(
    task,
    params,
    `select r.* from (select count(*) over () as total, count(*) filter (where ${isNull}) over () as nulls, ${keys}, ` +
      `row_number() over (${orderClause(task)}) as row, rank() over (${orderClause(task)}) - 1 as before from (`,
    `) q) r where (r.row - 1) % ${pageRows} = 0 order by r.row`,
  )
}

/** The rows of one range, in order. */
export function rangeStatement(task: SqlTask, params: Readonly<Params>, range: RowRange): Statement {
  const conditions: string[] = []
  if (range.from !== null) conditions.push(compare(task.orderBy, range.from, true))
  if (range.to !== null) conditions.push(compare(task.orderBy, range.to, false))
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const limit = range.limit === null ? '' : ` limit ${range.limit}`
  return wrap(task, params, 'select q.* from (', `) q${where}${orderClause(task)}${limit}`)
}

/**
 * The rows whose key columns hold one of these values. `'typed'`: the values are literals that take the type of their column,
 * so that an index can serve them; Postgres refuses them all if one can't be of that type. `'text'`: the columns' text is
 * compared, which any value can stand, and which reads every row.
 */
export function keysStatement(
  task: SqlTask,
  params: Readonly<Params>,
  ids: readonly KeyParams[],
  as: 'typed' | 'text',
): Statement {
  const { names } = task.key
  if (names.length === 0) return wrap(task, params, 'select q.* from (', ') q')
  const tuple = (items: string[]) => (items.length === 1 ? (items[0] as string) : `(${items.join(', ')})`)
  const columns = tuple(names.map((name) => `q.${quoted(name)}${as === 'text' ? '::text' : ''}`))
  const values = ids.map((id) => tuple(names.map((name) => literal(id[name] as string))))
  return wrap(task, params, 'select q.* from (', `) q where ${columns} in (${values.join(', ')})`)
}

/** No rows, but the names of the query's columns. */
export function columnsStatement(task: SqlTask, params: Readonly<Params>): Statement {
  return wrap(task, params, 'select q.* from (', ') q limit 0')
}

/**
 * "At or after the boundary" (`from`), or its exact opposite, in the order key's directions.
 * One direction throughout is a row comparison, which an index can serve; mixed ones are spelt out.
 */
function compare(orderBy: readonly OrderColumn[], boundary: readonly string[], from: boolean): string {
  const columns = orderBy.map(({ column }) => `q.${quoted(column)}`)
  const descending = orderBy[0]?.descending ?? false
  if (orderBy.every((order) => order.descending === descending)) {
    const operator = descending ? (from ? '<=' : '>') : from ? '>=' : '<'
    return `(${columns.join(', ')}) ${operator} (${boundary.join(', ')})`
  }
  const before = orderBy.map((order, index) => {
    const equal = columns.slice(0, index).map((column, at) => `${column} = ${boundary[at]} and `)
    return `(${equal.join('')}${columns[index]} ${order.descending ? '>' : '<'} ${boundary[index]})`
  })
  return from ? `not (${before.join(' or ')})` : `(${before.join(' or ')})`
}

function orderClause({ orderBy }: SqlTask): string {
  if (orderBy.length === 0) return ''
  return ` order by ${orderBy.map(({ column, descending }) => `q.${quoted(column)}${descending ? ' desc' : ''}`).join(', ')}`
}

function quoted(column: string): string {
  return `"${column.replaceAll('"', '""')}"`
}

/** Text as Postgres' `quote_literal` writes it: the same whatever `standard_conforming_strings` says. Holds no NUL. */
function literal(text: string): string {
  const inner = text.replaceAll("'", "''")
  return inner.includes('\\') ? ` E'${inner.replaceAll('\\', '\\\\')}'` : `'${inner}'`
}

/** The task's query between `before` and `after`. */
function wrap(task: SqlTask, params: Readonly<Params>, before: string, after: string): Statement {
  const { query } = task
  if (typeof query === 'function') return { before, query: (sql) => query(sql, params), after }
  return { before, query: { text: query.text, args: query.names.map((name) => params[name]) }, after }
}
