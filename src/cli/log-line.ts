import { getTextFormatter, type LogRecord } from '@logtape/logtape'
import { redact } from '../errors.ts'

/** How deep, and how many items wide, a property is told. */
const MAX_DEPTH = 4
const MAX_ITEMS = 100

const SECRET = /password|passwd|pwd|secret|token|authorization|credential|api_?key/i

const message = getTextFormatter({ timestamp: 'none', value: 'bare', format: (record) => record.message })

/** A record of the log as one JSON object on one line, its properties in snake_case. Secrets are masked. */
export function jsonLine(record: LogRecord): string {
  const line: Record<string, unknown> = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    logger: record.category.join('.'),
    message: redact(message(record).trimEnd()),
  }
  for (const [name, value] of Object.entries(record.properties)) {
    const field = snakeCase(name)
    if (!Object.hasOwn(line, field)) line[field] = SECRET.test(field) ? '***' : plain(value, MAX_DEPTH)
  }
  const json = JSON.stringify(line)
  // Whoever writes the line masks URLs once more; beyond a value's end that would break the JSON.
  return redact(json) === json ? json : json.replaceAll('@', '\\u0040')
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redact(value)
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || value === undefined) return value
  if (typeof value !== 'object') return String(value)
  if (value instanceof Error) {
    const { name, message: text, code } = value as Error & { code?: unknown }
    return { name, message: redact(text), ...(typeof code === 'string' ? { code } : {}) }
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (depth === 0) return '…'
  if (value instanceof Map) return plain(Object.fromEntries(value), depth)
  if (Array.isArray(value) || value instanceof Set)
    return [...value].slice(0, MAX_ITEMS).map((item) => plain(item, depth - 1))
  const fields = Object.entries(value).slice(0, MAX_ITEMS)
  return Object.fromEntries(
    fields.map(([name, item]) => [name, SECRET.test(name) ? '***' : plain(item, depth - 1)] as const),
  )
}

function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
}
