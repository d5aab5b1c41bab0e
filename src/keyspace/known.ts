import type { Task } from '../config/task.ts'
import type { Glob } from './glob.ts'

/** Which task a key belongs to. */
export interface KnownKeys {
  /** The task whose template `key` is of: of several the one of the highest priority, then the one declared first. */
  taskOf(key: string): Task | undefined
}

/** Prewarm's own records: no key of anybody's task, whatever its template says. */
export function isOwnKey(key: string): boolean {
  return key.startsWith('prewarm:') || key.startsWith('cache:warmup:') || key === 'cache:warmup'
}

/** Looks keys up by the templates of `tasks`, which are in the order of their declaration. */
export function knownKeys(tasks: Iterable<Task>): KnownKeys {
  const ranked = [...tasks]
    .sort((a, b) => b.priority - a.priority)
    .map((task) => ({ task, prefix: templatePrefix(task) }))
  return {
    taskOf(key) {
      if (isOwnKey(key)) return undefined
      // Most templates differ in what they begin with, and that is cheap to compare.
      return ranked.find(({ task, prefix }) => key.startsWith(prefix) && task.key.match(key) !== null)?.task
    },
  }
}

/** Sorts keys by the task they belong to, each key once, in the order in which they come. */
export function tasksOfKeys(
  tasks: ReadonlyMap<string, Task>,
  keys: Iterable<string>,
): { matched: Map<string, string[]>; unmatched: string[] } {
  const known = knownKeys(tasks.values())
  const matched = new Map<string, string[]>()
  const unmatched: string[] = []
  for (const key of new Set(keys)) {
    const name = known.taskOf(key)?.name
    if (name === undefined) unmatched.push(key)
    else {
      const list = matched.get(name)
      if (list === undefined) matched.set(name, [key])
      else list.push(key)
    }
  }
  return { matched, unmatched }
}

/** False if surely no key of the task's template matches `pattern`: they begin with different text. */
export function mayMatch(task: Task, pattern: Glob): boolean {
  const prefix = templatePrefix(task)
  if (task.key.names.length === 0) return pattern.matches(prefix)
  return prefix.startsWith(pattern.literalPrefix) || pattern.literalPrefix.startsWith(prefix)
}

/** The text before a template's first placeholder. */
function templatePrefix({ key }: Task): string {
  return key.names.length === 0 ? key.source : (key.glob.split('*', 1)[0] as string)
}
