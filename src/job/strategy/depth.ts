import type { Task } from '../../config/task.ts'

/** How many `:` a key has. */
export function colonsOf(key: string): number {
  let colons = 0
  for (let at = key.indexOf(':'); at !== -1; at = key.indexOf(':', at + 1)) colons++
  return colons
}

/** The depth that a task's `parent` gives to all its keys: one more than the parent's. Null: it declares none. */
export function declaredDepth(task: Task, tasks: ReadonlyMap<string, Task>): number | null {
  const parent = task.parent === undefined ? undefined : tasks.get(task.parent)
  return parent === undefined ? null : templateDepth(parent, tasks) + 1
}

/** The depth of a task's keys, by its `parent` or its key template: no value brings a `:` of its own into a key. */
export function templateDepth(task: Task, tasks: ReadonlyMap<string, Task>): number {
  return declaredDepth(task, tasks) ?? colonsOf(task.key.source)
}
