import { codecFor } from '../codec/index.ts'
import type { Codec, Encoded } from '../codec/types.ts'
import type { Task } from '../config/task.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import { isOwnKey, knownKeys } from '../keyspace/known.ts'
import { deepFreeze } from './freeze.ts'
import { splitTags, withTags } from './tags.ts'
import type { HeldValue } from './tier.ts'

/** How the values of a key are kept: as its keyspace says, else as JSON. */
export interface Form {
  /** Null: the key is of no keyspace. */
  task: Task | null
  keyspace: string | null
  codec: Codec
  /** What Redis holds. */
  type: 'string' | 'hash'
}

/** Redis takes keys up to 512 MB; a key this long is a mistake. In characters. */
const MAX_KEY_LENGTH = 4096

/** Looks up how keys are kept, by the tasks of a configuration. */
export function formsOf(tasks: Iterable<Task>): (key: string) => Form {
  const list = [...tasks]
  const known = knownKeys(list)
  const forms = new Map(list.map((task) => [task, formOf(task)]))
  return (key) => {
    checkKey(key)
    const task = known.taskOf(key)
    return task === undefined ? FREE : (forms.get(task) as Form)
  }
}

function formOf(task: Task): Form {
  return {
    task,
    keyspace: task.name,
    codec: codecFor(task.value),
    type: task.value === 'hash' ? 'hash' : 'string',
  }
}

const FREE: Form = { task: null, keyspace: null, codec: codecFor('json'), type: 'string' }

function checkKey(key: string): void {
  // Half a character would become another one, and two keys the same.
  const isText = typeof key === 'string' && key !== '' && key.length <= MAX_KEY_LENGTH && key.isWellFormed()
  if (isText && !isOwnKey(key)) return
  const shown = typeof key === 'string' ? `'${key.slice(0, 40)}'` : String(key)
  const why = isText ? "none of prewarm's own ('prewarm:…')" : 'without half a surrogate pair'
  throw new PrewarmError('KEY_INVALID', `key is ${shown}, expected text of 1 to ${MAX_KEY_LENGTH} characters, ${why}`)
}

/** A value ready for Redis. @throws {PrewarmError} `VALUE_INVALID` */
export function encode(
  { codec, type }: Form,
  value: unknown,
  context: { key: string; ttlMs: number; nowMs: number },
  tags: readonly string[] = [],
  versions: readonly string[] = [],
): Encoded {
  const encoded = encodeNamed(codec, value, context)
  if (encoded.type === 'string') return { type: 'string', value: withTags(encoded.value, tags, versions) }
  if (tags.length > 0) throw hashTags(context.key, type)
  return encoded
}

/** The codec knows what is wrong with a value, but not whose it is. */
function encodeNamed(codec: Codec, value: unknown, context: Parameters<Codec['encode']>[1] & { key: string }): Encoded {
  try {
    return codec.encode(value, context)
  } catch (error) {
    if (!isPrewarmError(error) || error.code !== 'VALUE_INVALID') throw error
    throw new PrewarmError('VALUE_INVALID', `'${context.key}' can't be cached. ${error.message}`, { cause: error })
  }
}

/** @throws {PrewarmError} `USAGE` */
export function hashTags(key: string, type: string): PrewarmError {
  return new PrewarmError(
    'USAGE',
    `'${key}' is kept as a ${type}, which can bear no tags: leave them out, or use value 'json'`,
  )
}

/** What a reader gets: frozen, with the tags that it bears. @throws {PrewarmError} `VALUE_INVALID` */
export function decode({ codec }: Form, held: HeldValue): { value: unknown; tags: readonly string[]; bytes: number } {
  if (held.type === 'hash') {
    let bytes = 0
    for (const [name, field] of Object.entries(held.fields)) bytes += 2 * (name.length + field.length)
    return { value: deepFreeze(codec.decode(held)), tags: [], bytes }
  }
  const { text, tags } = splitTags(held.value)
  return { value: deepFreeze(codec.decode({ type: 'string', value: text })), tags, bytes: 2 * text.length }
}

/** What Redis would give back for `encoded`. */
export function heldOf(encoded: Encoded): HeldValue {
  if (encoded.type === 'string') return encoded
  const { fields } = encoded
  // Not an object's own assignment: a field may be called `__proto__`.
  const pairs = Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at], fields[2 * at + 1]] as const)
  return { type: 'hash', fields: Object.fromEntries(pairs) as Record<string, string> }
}
