import { PrewarmError } from '../errors.ts'
import { parsedJson } from './json.ts'

/** An entry of another cache library: an object of JSON that holds the value beside what the library wants to know of it. */
export type StoredEntry = Record<string, unknown> & { value: unknown }

/** @throws {PrewarmError} `VALUE_INVALID` if `text` is no entry */
export function parsedEntry(
  text: string,
  form: string,
  reviver?: (name: string, value: unknown) => unknown,
): StoredEntry {
  const entry = parsedJson(text, form, reviver)
  if (typeof entry === 'object' && entry !== null && Object.hasOwn(entry, 'value')) return entry as StoredEntry
  throw new PrewarmError('VALUE_INVALID', `Cannot decode ${form}: what is stored is no object with a value`)
}
