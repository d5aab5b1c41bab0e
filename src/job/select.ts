import type { Task } from '../config/task.ts'
import { PrewarmError } from '../errors.ts'
import { tasksOfKeys } from '../keyspace/known.ts'
import type { JobRequest, Params } from '../types.ts'

/**
 * The tasks a request means, warmest first; equals in the order of the configuration.
 *
 * @throws {PrewarmError} `TASK_UNKNOWN` for a name that is not declared, `USAGE` if nothing is left
 */
export function selectTasks(tasks: ReadonlyMap<string, Task>, request: JobRequest): Task[] {
  for (const name of request.tasks ?? []) {
    if (!tasks.has(name)) {
      throw new PrewarmError(
        'TASK_UNKNOWN',
        `There is no task '${name}': the configuration has ${[...tasks.keys()].join(', ')}`,
      )
    }
  }
  const named = request.tasks?.length ? new Set(request.tasks) : null
  const tags = request.tags?.length ? new Set(request.tags) : null
  const selected = [...tasks.values()].filter(
    (task) =>
      (named === null || named.has(task.name)) &&
      (tags === null || task.tags.some((tag) => tags.has(tag))) &&
      (request.critical !== true || task.critical),
  )
  if (selected.length === 0) {
    const what = [tags && `tag ${[...tags].join(', ')}`, request.critical && 'critical'].filter(Boolean).join(' and ')
    throw new PrewarmError('USAGE', tasks.size === 0 ? 'The configuration has no tasks' : `No task matches ${what}`)
  }
  return selected.sort((a, b) => (request.priority ?? b.priority) - (request.priority ?? a.priority))
}

/** What a request means: its tasks, and, where it names keys, which of them each task warms. */
export interface SelectedWork {
  tasks: Task[]
  keys: ReadonlyMap<string, readonly string[]> | null
}

/**
 * {@linkcode selectTasks}, and where the request names keys, only the tasks that have some of them.
 *
 * @throws {PrewarmError} as `selectTasks`, and `KEYS_UNMATCHED` if no task has any of the keys
 */
export function selectWork(tasks: ReadonlyMap<string, Task>, request: JobRequest): SelectedWork {
  const selected = selectTasks(tasks, request)
  if (request.keys === undefined) return { tasks: selected, keys: null }
  const { matched } = tasksOfKeys(new Map(selected.map((task) => [task.name, task])), request.keys)
  const withKeys = selected.filter((task) => matched.has(task.name))
  if (withKeys.length > 0) return { tasks: withKeys, keys: matched }
  const shown = request.keys.length === 0 ? 'none were given' : `such as '${request.keys[0]}'`
  throw new PrewarmError(
    'KEYS_UNMATCHED',
    `No task has any of the ${request.keys.length} keys (${shown}): the key templates are ${selected.map((task) => task.key.source).join(', ')}`,
  )
}

/**
 * The parameters of each task: its defaults, with what the request overrides.
 *
 * @throws {PrewarmError} `PARAM_INVALID` for a value that is wrong, or a name that no selected task declares
 */
export function settleParams(tasks: readonly Task[], overrides: Params = {}): Map<string, Params> {
  for (const name of Object.keys(overrides)) {
    if (tasks.some((task) => task.params.names.includes(name))) continue
    const known = [...new Set(tasks.flatMap((task) => task.params.names))]
    const hint = known.length === 0 ? 'they declare none' : `they declare ${known.join(', ')}`
    throw new PrewarmError('PARAM_INVALID', `No selected task has a parameter '${name}': ${hint}`)
  }
  return new Map(tasks.map((task) => [task.name, task.params.parse(overrides)]))
}
