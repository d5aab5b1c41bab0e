import { PrewarmError } from '../errors.ts'
import type { Codec } from './types.ts'

/**
 * A Redis hash: a flat list of fields and values as it is, an object field by field. Null and undefined are left out,
 * dates take ISO form, nested objects JSON. A hash without a field can't exist in Redis and is refused. Read back, each field
 * is text.
 */
export const hashCodec: Codec = {
  name: 'hash',
  encode(value) {
    const fields = Array.isArray(value) ? flatList(value) : fieldsOf(value)
    if (fields.length === 0) throw new PrewarmError('VALUE_INVALID', 'Cannot encode hash: every field is null')
    return { type: 'hash', fields }
  },
  decode(held) {
    if (held.type === 'hash') return held.fields
    throw new PrewarmError('VALUE_INVALID', 'Cannot decode hash: text is stored')
  },
}

function flatList(list: readonly unknown[]): readonly string[] {
  if (list.length % 2 === 0 && list.every((part) => typeof part === 'string')) return list as string[]
  throw new PrewarmError('VALUE_INVALID', 'Cannot encode hash: a list must hold fields and values in turn, all text')
}

function fieldsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) {
    throw new PrewarmError(
      'VALUE_INVALID',
      `Cannot encode hash: value is ${value === null ? 'null' : typeof value}, expected an object`,
    )
  }
  const fields: string[] = []
  for (const [name, field] of Object.entries(value)) {
    if (field !== null && field !== undefined) fields.push(name, fieldText(name, field))
  }
  return fields
}

function fieldText(name: string, field: unknown): string {
  if (typeof field !== 'object') return String(field)
  try {
    if (field instanceof Date) return field.toISOString()
    const text: string | undefined = JSON.stringify(field)
    if (text !== undefined) return text
    throw new TypeError('it has no JSON')
  } catch (error) {
    throw new PrewarmError(
      'VALUE_INVALID',
      `Cannot encode hash: field '${name}': ${(error as Error).message.split('\n')[0]}`,
    )
  }
}
