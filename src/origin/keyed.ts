import type { KeyedTask } from '../config/task.ts'
import { toFailure } from '../errors.ts'
import { versionText } from '../keyspace/version.ts'
import type { ReadFailure, ReadResult, SourceRecord } from './types.ts'

/** The values of named keys as a read's result: each key a record or a failure. */
export function keyedResult(
  task: KeyedTask,
  keys: readonly string[],
  valueFor: (key: string, index: number) => unknown,
): Omit<ReadResult, 'requests'> {
  const records: SourceRecord[] = []
  const failures: ReadFailure[] = []
  for (const [index, key] of keys.entries()) {
    try {
      const value = valueFor(key, index)
      if (value === undefined || value === null) failures.push(noValue(key))
      else records.push(keyedRecord(task, key, value))
    } catch (error) {
      failures.push({ key, failure: { ...toFailure(error, 'VALUE_INVALID'), key }, retryable: false })
    }
  }
  return { records, failures, duplicates: 0, done: true }
}

function keyedRecord(task: KeyedTask, key: string, value: unknown): SourceRecord {
  const { version } = task
  const picked = pick(task, value)
  if (version === undefined) return { key, value: picked }
  const given = typeof version === 'function' ? version(value) : (value as Record<string, unknown>)[version]
  return { key, value: picked, version: versionText(given) }
}

/** The wanted part of a value: one column, some fields, or all of it. */
function pick({ value: form, columns }: KeyedTask, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const fields = value as Record<string, unknown>
  if (typeof form === 'object') return fields[form.column]
  if (columns === undefined) return value
  return Object.fromEntries(columns.filter((name) => name in fields).map((name) => [name, fields[name]]))
}

function noValue(key: string): ReadFailure {
  return {
    key,
    failure: { code: 'ORIGIN_NO_VALUE', message: `The origin has no value for '${key}'`, key },
    retryable: false,
  }
}
