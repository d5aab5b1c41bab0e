import { getLogger } from '@logtape/logtape'
import type { Task } from './config/task.ts'
import type { Predictor } from './coordination/types.ts'
import { PrewarmError } from './errors.ts'
import type { Matched } from './facade.ts'
import { firstKeys } from './inspect/plan.ts'
import { planTask } from './job/plan.ts'
import { settleParams } from './job/select.ts'
import { type Glob, glob } from './keyspace/glob.ts'
import { knownKeys, mayMatch } from './keyspace/known.ts'
import type { SqlClient } from './origin/sql-client.ts'
import type { Store } from './store/types.ts'
import type { Params } from './types.ts'

const log = getLogger(['prewarm'])

export interface MatchingOptions {
  tasks: ReadonlyMap<string, Task>
  /** A Redis-style glob: see `glob`. */
  pattern: string
  /** At most this many keys. */
  limit: number
  store: Pick<Store, 'scan'>
  /** Lists a task's keys, hottest first, at most `count`: see `listKeys`. */
  list: (task: Task, count: number, signal: AbortSignal) => Promise<readonly string[]>
  /** Knows the access log. Absent: there is none. */
  predictor?: Predictor | undefined
  signal: AbortSignal
}

/** Keys asked of the access log, and of each task: those beyond are found only where Redis holds them. */
const LISTED = 10_000
const WINDOW_MS = 6 * 3_600_000

/**
 * Keys of known keyspaces that match a glob, hottest first: those read lately, then those that the tasks list (the task of the
 * highest priority first), then what else Redis holds (by SCAN). Each step is left out once there are enough. What can't be
 * reached is logged and left out; if nothing can be, that is the error.
 *
 * @throws {PrewarmError} `REQUEST_INVALID` for the pattern, `JOB_CANCELLED` when `signal` aborts, what all sources failed with
 */
export async function matching(options: MatchingOptions): Promise<Matched> {
  const { tasks, limit, signal } = options
  const pattern = glob(options.pattern)
  const possible = [...tasks.values()].filter((task) => mayMatch(task, pattern))
  if (possible.length === 0) return { keys: [], truncated: false }
  const known = knownKeys(tasks.values())
  const keys = new Set<string>()
  const errors: unknown[] = []
  let answered = 0
  for (const { name, pages } of sourcesOf(possible, pattern, options)) {
    try {
      for await (const page of untilAborted(pages(), signal)) {
        for (const key of page) {
          if (keys.has(key) || !pattern.matches(key) || known.taskOf(key) === undefined) continue
          // The one too many tells that there are more.
          if (keys.size >= limit) return { keys: [...keys], truncated: true }
          keys.add(key)
        }
      }
      answered++
    } catch (error) {
      if (signal.aborted) throw cancelled(pattern)
      errors.push(error)
      log.warn('{source} gave no keys for {pattern}: {message}', {
        source: name,
        pattern: pattern.source,
        message: error instanceof Error ? error.message : String(error),
      })
    }
  }
  if (answered === 0) throw errors[0]
  return { keys: [...keys], truncated: false }
}

interface Source {
  name: string
  pages: () => AsyncIterable<readonly string[]>
}

function sourcesOf(possible: Task[], pattern: Glob, { store, list, predictor, signal }: MatchingOptions): Source[] {
  const sources: Source[] = []
  if (predictor !== undefined) {
    const predict = async () => predictor.predict({ limit: LISTED, windowMs: WINDOW_MS })
    sources.push({ name: 'the access log', pages: () => once(async () => (await predict()).map(({ key }) => key)) })
  }
  for (const task of possible.sort((a, b) => b.priority - a.priority)) {
    if (task.kind !== 'sql' && task.select === undefined) continue
    sources.push({ name: `task '${task.name}'`, pages: () => once(() => list(task, LISTED, signal)) })
  }
  sources.push({ name: 'SCAN', pages: () => store.scan(pattern.scanPattern) })
  return sources
}

/**
 * The keys that a task would warm now, hottest first, at most `count`: its `select`, or the key columns of its query's first
 * rows. Asks the origin once, without values.
 *
 * @param params @default the task's own
 * @throws {PrewarmError} `ORIGIN_*`, `PARAM_INVALID`; `CONFIG_INVALID` for a task without `select`
 */
export async function listKeys(
  task: Task,
  client: () => SqlClient,
  { count, params, signal }: { count: number; params?: Params; signal: AbortSignal },
): Promise<readonly string[]> {
  const settled = params ?? (settleParams([task]).get(task.name) as Params)
  if (task.kind === 'sql') return firstKeys({ client: client() }, task, settled, count, signal)
  const plan = await planTask(task, client, { params: settled, count, batchSize: task.batchSize, signal })
  return plan.kind === 'keys' ? plan.keys : []
}

async function* once(list: () => Promise<readonly string[]>): AsyncGenerator<readonly string[]> {
  yield await list()
}

/** What `pages` gives; an error at once when `signal` aborts, also while a page is awaited. */
async function* untilAborted<T>(pages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => {})
  const abort = () => aborted.reject(new Error('aborted'))
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  const iterator = pages[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await Promise.race([aborted.promise, iterator.next()])
      if (done === true) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', abort)
    // Not awaited: it waits for the page that nobody wants any more.
    if (iterator.return !== undefined) void iterator.return().catch(() => {})
  }
}

function cancelled(pattern: Glob): PrewarmError {
  return new PrewarmError('JOB_CANCELLED', `Looking for keys that match '${pattern.source}' was cancelled`)
}
