import type { Task } from '../config/task.ts'

/**
 * What the keys of a configuration mean, as 16 hex digits: they change with the tasks' names, key templates, kinds or forms of
 * value, and with nothing else.
 */
export async function configVersion(tasks: ReadonlyMap<string, Task>): Promise<string> {
  const meaning = [...tasks.values()]
    .map(({ name, key, kind, value }) => [name, key.source, kind, value])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
  const bytes = new TextEncoder().encode(JSON.stringify(meaning))
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
