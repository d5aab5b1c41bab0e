import type { Task } from './config/task.ts'
import { PrewarmError } from './errors.ts'
import type { ClearResult } from './facade.ts'
import { KeySet } from './inspect/key-set.ts'
import { selectTasks } from './job/select.ts'
import { glob } from './keyspace/glob.ts'
import { isOwnKey, knownKeys, mayMatch } from './keyspace/known.ts'
import type { Store } from './store/types.ts'

export interface ClearOptions {
  tasks: ReadonlyMap<string, Task>
  /** A Redis-style glob (see `glob`), or a task by name. */
  what: { pattern: string } | { task: string }
  /** Count what would be deleted. */
  dryRun: boolean
  store: Pick<Store, 'scan' | 'unlink'>
  signal: AbortSignal
}

const SAMPLE = 10
/** Keys deleted at once. */
const BATCH = 500

/**
 * Deletes keys of known keyspaces, found by SCAN: those that match a glob and are of any task's template, or those of one
 * task's. Whatever else Redis holds stays, and so do prewarm's own records. `deleted` is what Redis counted, which is less than
 * `matched` where a key went by itself in between.
 *
 * @throws {PrewarmError} `REQUEST_INVALID` for the pattern, `TASK_UNKNOWN`, `STORE_UNREACHABLE`; `JOB_CANCELLED` when `signal` aborts, with what was deleted by then
 */
export async function clear({ tasks, what, dryRun, store, signal }: ClearOptions): Promise<ClearResult> {
  const { scanPattern, isMeant } = 'task' in what ? meantByTask(tasks, what.task) : meantByPattern(tasks, what.pattern)
  const result: ClearResult = { matched: 0, deleted: 0, sample: [], dryRun }
  if (scanPattern === null) return result
  // SCAN may name a key twice.
  const seen = new KeySet()
  const checkSignal = () => {
    if (!signal.aborted) return
    throw new PrewarmError('JOB_CANCELLED', `Clearing was cancelled; ${result.deleted} keys were deleted before`)
  }
  checkSignal()
  for await (const page of store.scan(scanPattern)) {
    const keys = page.filter((key) => {
      if (!isMeant(key) || seen.has(key)) return false
      seen.add(key)
      return true
    })
    result.matched += keys.length
    if (result.sample.length < SAMPLE) result.sample.push(...keys.slice(0, SAMPLE - result.sample.length))
    for (let at = 0; at < keys.length && !dryRun; at += BATCH) {
      checkSignal()
      result.deleted += await store.unlink(keys.slice(at, at + BATCH))
    }
    checkSignal()
  }
  return result
}

/** `scanPattern` null: no key can be meant. */
interface Meant {
  scanPattern: string | null
  isMeant: (key: string) => boolean
}

function meantByTask(tasks: ReadonlyMap<string, Task>, name: string): Meant {
  const [task] = selectTasks(tasks, { tasks: [name] }) as [Task]
  return { scanPattern: task.key.glob, isMeant: (key) => !isOwnKey(key) && task.key.match(key) !== null }
}

function meantByPattern(tasks: ReadonlyMap<string, Task>, source: string): Meant {
  const pattern = glob(source)
  const known = knownKeys(tasks.values())
  const isPossible = [...tasks.values()].some((task) => mayMatch(task, pattern))
  return {
    scanPattern: isPossible ? pattern.scanPattern : null,
    isMeant: (key) => pattern.matches(key) && known.taskOf(key) !== undefined,
  }
}
