import { PrewarmError } from '../errors.ts'
import type { Codec } from './types.ts'

/**
 * A Redis hash: a flat list of fields and values as it is, an object field by field. Null and undefined are left out,
 * dates take ISO form, nested objects JSON. A hash without a field can't exist in Redis and is refused.
 */
export const hashCodec: Codec = {
  name: 'hash',
  encode(value) {
    const fields = Array.isArray(value) ? (value as string[]) : fieldsOf(value)
    if (fields.length === 0) throw new PrewarmError('VALUE_INVALID', 'Cannot encode hash: every field is null')
    return { type: 'hash', fields }
  },
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
  if (field instanceof Date) return field.toISOString()
  if (typeof field !== 'object') return String(field)
  try {
    return JSON.stringify(field)
  } catch (error) {
    throw new PrewarmError(
      'VALUE_INVALID',
      `Cannot encode hash: field '${name}': ${(error as Error).message.split('\n')[0]}`,
    )
  }
}
