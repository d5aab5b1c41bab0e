import { rowForm, type SqlTask, type Task } from '../config/task.ts'
import { toFailure } from '../errors.ts'
import type { JobRanking } from '../job/strategy/job-ranking.ts'
import { countStatement, sampleStatement } from '../origin/ranges.ts'
import type { Params, PlanEntry, PlanExplanation } from '../types.ts'
import type { Warmer } from '../warmer.ts'
import { EXPLAINED, explain, type Looked } from './explain.ts'
import type { Selected } from './select.ts'

export interface PlanEntryOptions {
  /** At most this many keys of each task. */
  count: number | undefined
  /** @default keys in the order listed */
  ranking?: JobRanking | undefined
  signal: AbortSignal
}

export interface PlannedJob {
  tasks: PlanEntry[]
  /** Null unless it was asked for. */
  explain: PlanExplanation | null
}

const SAMPLE = 3

/** What a job would do, task by task. Reads the origin, writes nothing; a task that can't be planned says why. */
export async function planJob(
  warmer: Warmer,
  selected: readonly Selected[],
  { ranking, count, ...options }: PlanEntryOptions & { ranking: JobRanking; isExplained: boolean },
): Promise<PlannedJob> {
  const tasks: PlanEntry[] = []
  const looked: Looked[] = []
  const shown = options.isExplained ? (count ?? EXPLAINED) : SAMPLE
  const onLook = (one: Looked) => looked.push(one)
  for (const one of selected) tasks.push(await planEntry(warmer, one, { ...options, count, ranking, shown, onLook }))
  return { tasks, explain: options.isExplained ? await explain(looked, { ranking, count: shown }) : null }
}

/** The same of one task. `onLook` is told of its plan, with its first `shown` keys. */
export async function planEntry(
  warmer: Warmer,
  selected: Selected,
  options: PlanEntryOptions & { shown?: number; onLook?: (looked: Looked) => void },
): Promise<PlanEntry> {
  const { task, priority } = selected
  const entry: PlanEntry = {
    task: task.name,
    key: task.key.source,
    priority,
    kind: task.kind,
    value: typeof task.value === 'object' ? `column ${task.value.column}` : task.value,
    mode: task.mode,
    ttlMs: task.ttlMs,
    keys: null,
    batches: null,
    originRequests: null,
    sample: [],
    error: null,
  }
  try {
    return { ...entry, ...(await counts(warmer, selected, options)) }
  } catch (error) {
    if (options.signal.aborted) throw error
    return { ...entry, error: toFailure(error) }
  }
}

type Counts = Pick<PlanEntry, 'keys' | 'batches' | 'originRequests' | 'sample'>

async function counts(
  warmer: Warmer,
  selected: Selected,
  { count, ranking, signal, shown = SAMPLE, onLook = () => {} }: Parameters<typeof planEntry>[2],
): Promise<Counts> {
  const { task, params, batchSize } = selected
  const cap = count ?? Number.POSITIVE_INFINITY
  const bounds = { batchSize, signal, ...(count === undefined ? {} : { count }) }
  const plan = await warmer.planOf(task, params, { ...bounds, ...(ranking === undefined ? {} : { ranking }) })
  const told = (first: readonly string[]) => {
    onLook({ task, plan, keys: first })
    return first.slice(0, SAMPLE)
  }
  // One request lists the keys, or cuts the query into ranges; the rest read values.
  if (plan.kind === 'keys') {
    const keys = plan.keys.length
    const batches = Math.ceil(keys / batchSize)
    const originRequests = 1 + (task.kind === 'http' ? keys : batches)
    return { keys: keys + plan.failures.length, batches, originRequests, sample: told(plan.keys) }
  }
  const query = task as SqlTask
  const sample = told(await firstKeys(warmer, query, params, Math.min(Math.max(SAMPLE, shown), cap), signal))
  if (plan.kind === 'ranges') {
    const batches = plan.ranges.length
    return { keys: plan.total, batches, originRequests: 1 + batches, sample }
  }
  const keys = Math.min(await countRows(warmer, query, params, signal), cap)
  // A stream knows that it has ended by a page that is not full.
  const batches = keys === cap ? Math.ceil(keys / batchSize) : Math.floor(keys / batchSize) + 1
  return { keys, batches, originRequests: 1 + batches, sample }
}

async function countRows({ client }: Warmer, task: SqlTask, params: Params, signal: AbortSignal): Promise<number> {
  const { timeoutMs } = task
  const { rows } = await client.rows(countStatement(task, params), { as: 'text', timeoutMs, signal })
  return Number(rows[0]?.[0])
}

/** The first keys of a query's task, read without the values. Rows that give no key are left out. */
export async function firstKeys(
  { client }: Pick<Warmer, 'client'>,
  task: SqlTask,
  params: Params,
  count: number,
  signal: AbortSignal,
): Promise<string[]> {
  const { timeoutMs } = task
  const { columns, rows } = await client.rows(sampleStatement(task, params, count), {
    as: rowForm(task),
    timeoutMs,
    signal,
  })
  return rows.flatMap((row) => keyOf(task, columns, row))
}

function keyOf(task: Task, columns: readonly string[], row: readonly unknown[]): string[] {
  try {
    return [task.key.format(Object.fromEntries(columns.map((name, index) => [name, row[index]])))]
  } catch {
    return []
  }
}
