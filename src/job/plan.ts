import { bounded } from '../clock.ts'
import type { KeyLike } from '../config/define.ts'
import type { KeyedTask, SqlTask, Task } from '../config/task.ts'
import { type Failure, PrewarmError, toFailure } from '../errors.ts'
import { toKey } from '../origin/keys.ts'
import { boundariesStatement, guessStatement } from '../origin/ranges.ts'
import type { SqlClient } from '../origin/sql-client.ts'
import type { RowRange } from '../origin/types.ts'
import { userContext, userError } from '../origin/user.ts'
import type { Params } from '../types.ts'

/** What a task will read, in order: keys by name, ranges of rows, or one stream of rows. */
export type TaskPlan =
  /**
   * `failures`: what `select` listed and is no key. `distinct`: the same keys as a set, so that none is built again.
   * `priorities`: one for all, or one for each; absent: the lane's own.
   */
  | {
      kind: 'keys'
      keys: readonly string[]
      failures: Failure[]
      distinct?: ReadonlySet<string>
      priorities?: number | ArrayLike<number>
    }
  /** `priority` of all its batches; absent: the lane's own. */
  | { kind: 'ranges'; ranges: { range: RowRange; rows: number }[]; total: number; priority?: number }
  /** `guess` is the database's own, null if it would not say. */
  | { kind: 'stream'; limit: number | null; guess: number | null; priority?: number }

export interface PlanOptions {
  params: Params
  /** Rows of a range. */
  batchSize: number
  /** At most this many keys. */
  count: number | null
  /** Of a task with `select`: so many keys are listed, though only `count` are wanted, for the best to be chosen from. */
  listed?: number | undefined
  signal: AbortSignal
}

/**
 * Finds out what a task would warm now. Reads the origin, writes nothing.
 *
 * @throws {PrewarmError} `ORIGIN_*`, `CONFIG_INVALID` if the task can't list its keys
 */
export async function planTask(task: Task, client: () => SqlClient, options: PlanOptions): Promise<TaskPlan> {
  if (task.kind !== 'sql') return planKeys(task, client, options)
  return task.orderBy.length > 0 ? planRanges(task, client(), options) : planStream(task, client(), options)
}

async function planKeys(task: KeyedTask, client: () => SqlClient, options: PlanOptions): Promise<TaskPlan> {
  const { select } = task
  if (select === undefined) {
    throw new PrewarmError(
      'CONFIG_INVALID',
      `tasks.${task.name} has no select, so its keys can't be listed: add select, or name the keys`,
    )
  }
  const abort = new AbortController()
  const context = userContext(client, options.params, AbortSignal.any([options.signal, abort.signal]))
  const what = `select of task '${task.name}'`
  const limit = options.count ?? Number.POSITIVE_INFINITY
  const most = Math.max(limit, options.listed ?? 0)
  const keys = new Set<string>()
  const failures: Failure[] = []
  const hasEnough = () => keys.size + failures.length >= limit
  let isOver = false
  /** False when there are enough. */
  const take = (listed: unknown): boolean => {
    if (isOver || keys.size + failures.length >= most) return false
    try {
      keys.add(toKey(task.key, listed as KeyLike))
    } catch (error) {
      if (!hasEnough()) failures.push(toFailure(error))
    }
    return true
  }
  const listing = (async () => {
    const selected = await select(context)
    if (Symbol.iterator in selected) {
      // `for await` would wait a turn for each key of a list, too.
      for (const listed of selected) if (!take(listed)) break
    } else for await (const listed of selected) if (!take(listed)) break
  })()
  try {
    await bounded(listing, {
      timeoutMs: task.timeoutMs,
      signal: options.signal,
      what,
      cancel: () => abort.abort(),
    })
  } catch (error) {
    // It has listed as many as are wanted: what comes after them was only to be compared.
    if (options.signal.aborted || options.listed === undefined || !hasEnough()) throw userError(error, what)
  } finally {
    isOver = true
  }
  return { kind: 'keys', keys: [...keys], failures, distinct: keys }
}

async function planRanges(task: SqlTask, client: SqlClient, options: PlanOptions): Promise<TaskPlan> {
  const { params, batchSize, count, signal } = options
  const query = boundariesStatement(task, params, batchSize)
  const { rows } = await client.rows(query, { as: 'text', timeoutMs: task.timeoutMs, signal })
  if (rows.length === 0) return { kind: 'ranges', ranges: [wholeRange(0, count)], total: 0 }
  const total = Math.min(Number(rows[0]?.[0]), count ?? Number.POSITIVE_INFINITY)
  const nulls = Number(rows[0]?.[1])
  const boundaries = rows.map((row) => row.slice(2, -2) as string[])
  const before = rows.map((row) => Number(row.at(-1)))
  // A row whose order key is null lies in no range; many rows with one order key would make a range too large.
  const largest = longestRun(boundaries)
  if (nulls > 0 || largest > 4) return planStream(task, client, options)
  const ranges: { range: RowRange; rows: number }[] = []
  let left = total
  for (let at = 0; at < boundaries.length && left > 0; ) {
    let next = at + 1
    while (next < boundaries.length && isSame(boundaries[next], boundaries[at])) next++
    const rowsThere = (before[next] ?? Number(rows[0]?.[0])) - (before[at] as number)
    const rowsHere = Math.min(rowsThere, left)
    const isCut = count !== null && left <= rowsThere
    ranges.push({
      range: {
        from: at === 0 ? null : (boundaries[at] as string[]),
        to: boundaries[next] ?? null,
        limit: isCut ? rowsHere : null,
      },
      rows: rowsHere,
    })
    left -= rowsHere
    at = next
  }
  return { kind: 'ranges', ranges, total }
}

/** Rows may appear between the plan and the read: even an empty plan reads once. */
function wholeRange(rows: number, limit: number | null): { range: RowRange; rows: number } {
  return { range: { from: null, to: null, limit }, rows }
}

async function planStream(task: SqlTask, client: SqlClient, { params, count, signal }: PlanOptions): Promise<TaskPlan> {
  const { rows } = await client.rows(guessStatement(task, params), { as: 'text', timeoutMs: task.timeoutMs, signal })
  const guess = guessOf(rows[0]?.[0])
  return { kind: 'stream', limit: count, guess: guess === null || count === null ? guess : Math.min(guess, count) }
}

function guessOf(plan: unknown): number | null {
  try {
    const rows = (JSON.parse(String(plan)) as [{ Plan?: Record<string, unknown> }])[0].Plan?.['Plan Rows']
    return typeof rows === 'number' ? rows : null
  } catch {
    return null
  }
}

function longestRun(boundaries: readonly string[][]): number {
  let longest = 0
  let run = 0
  for (const [at, boundary] of boundaries.entries()) {
    run = at > 0 && isSame(boundary, boundaries[at - 1]) ? run + 1 : 1
    longest = Math.max(longest, run)
  }
  return longest
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a !== undefined && b !== undefined && a.every((value, index) => value === b[index])
}

/** Keys that a plan names or guesses; null where nobody knows. */
export function plannedKeys(plan: TaskPlan | undefined): number | null {
  if (plan === undefined) return null
  if (plan.kind === 'keys') return plan.keys.length + plan.failures.length
  return plan.kind === 'ranges' ? plan.total : plan.guess
}
