import type { KeyLike } from '../config/define.ts'
import type { KeyedTask } from '../config/task.ts'
import { PrewarmError } from '../errors.ts'
import type { KeyTemplate } from '../keyspace/template.ts'

/**
 * The key that `listed` names: its placeholders' values, its only placeholder's value, or the whole key.
 *
 * @throws {PrewarmError} `KEY_INVALID`
 */
export function toKey(template: KeyTemplate, listed: KeyLike): string {
  if (typeof listed === 'object' && listed !== null) return template.format(listed)
  if (typeof listed === 'string' && template.match(listed) !== null) return listed
  if (template.names.length === 1) return template.format({ [template.names[0] as string]: listed })
  throw new PrewarmError(
    'KEY_INVALID',
    `select gave '${String(listed)}', which is no key of '${template.source}': give an object with ${template.names.join(', ')}`,
  )
}

/** The placeholders' values of each key, in the keys' order. */
export function idsOf(task: KeyedTask, keys: readonly string[]): Record<string, string>[] {
  return keys.map((key) => task.key.match(key) ?? {})
}
