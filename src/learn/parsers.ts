import { csvCells } from './csv.ts'
import type { KeyOfPath } from './path-map.ts'
import { msOf, timeOf } from './time.ts'

/** Reads of one key. */
export interface Read {
  key: string
  atMs: number
  count: number
}

/** What a line is: reads; something that is no read of a key (another method, a failure, a path without a key); or broken. */
export type Line = Read | 'other' | 'bad'

/** Reads one line. */
export type LineParser = (line: string) => Line

export const LOG_FORMATS = ['ndjson', 'csv', 'clf'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export interface ParserOptions {
  /** Field or column with the key. @default 'key'; with `keyOf`: the path, in 'path', 'url' or 'uri' */
  keyField?: string | undefined
  /** Field or column with the time. @default the first there is of 'ts_ms', 'time', 'ts', 'timestamp', '@timestamp' and 'at' */
  timeField?: string | undefined
  /** Makes keys of paths. Without it lines hold keys, and the common log format can't be read. */
  keyOf?: KeyOfPath | undefined
}

const TIME_FIELDS = ['ts_ms', 'time', 'ts', 'timestamp', '@timestamp', 'at']
const PATH_FIELDS = ['path', 'url', 'uri']
/** A longer key is a mistake. In characters. */
const MAX_KEY_LENGTH = 4096
/**
 * host ident user [date] "request" status, and whatever follows. What is before the request is bounded, as strangers write into
 * lines: how long it takes grows with a line's length alone.
 */
const COMMON = /^\S+ \S+ .{0,512}?\[([^\]]{1,64})\] "((?:[^"\\]|\\.)*)" (\d{3})(?: |$)/

/** The format that a file's first line is of; null: of none. */
export function formatOf(line: string): LogFormat | null {
  if (/^\s*\{/.test(line)) return 'ndjson'
  if (COMMON.test(line)) return 'clf'
  return line.includes(',') ? 'csv' : null
}

/** Field by field: one object a line. `count`, where there is one, says how many reads it stands for. */
export function ndjsonParser({ keyField, timeField, keyOf }: ParserOptions): LineParser {
  const keyFields = fieldsOf(keyField, keyOf)
  const timeFields = timeField === undefined ? TIME_FIELDS : [timeField]
  return (line) => {
    let fields: Record<string, unknown>
    try {
      fields = JSON.parse(line)
    } catch {
      return 'bad'
    }
    if (typeof fields !== 'object' || fields === null) return 'bad'
    const timeName = timeFields.find((name) => Object.hasOwn(fields, name))
    const keyName = keyFields.find((name) => Object.hasOwn(fields, name))
    if (timeName === undefined || keyName === undefined) return 'bad'
    const { method, status, count = 1 } = fields
    if (keyOf !== undefined && !isRead(method, status)) return 'other'
    return readOf(fields[keyName], timeIn(timeName, fields[timeName]), count, keyOf)
  }
}

/**
 * Column by column, as the first line names them.
 *
 * @returns what is wrong with the first line, as text; else the parser of all others
 */
export function csvParser(header: string, { keyField, timeField, keyOf }: ParserOptions): LineParser | string {
  const names = csvCells(header)?.map((name) => name.trim().toLowerCase())
  if (names === undefined) return 'a quote is not closed'
  const column = (wanted: readonly string[]) => {
    const name = wanted.find((one) => names.includes(one.toLowerCase()))
    return { name, at: name === undefined ? -1 : names.indexOf(name.toLowerCase()) }
  }
  const keyFields = fieldsOf(keyField, keyOf)
  const timeFields = timeField === undefined ? TIME_FIELDS : [timeField]
  const key = column(keyFields)
  const time = column(timeFields)
  if (key.name === undefined) return `no column is called ${listed(keyFields)}: name it with --key-field`
  if (time.name === undefined) return `no column is called ${listed(timeFields)}: name it with --time-field`
  const [method, status, count] = ['method', 'status', 'count'].map((name) => names.indexOf(name)) as [
    number,
    number,
    number,
  ]
  return (line) => {
    const cells = csvCells(line)
    if (cells === null || cells.length !== names.length) return 'bad'
    if (keyOf !== undefined && !isRead(cells[method], cells[status])) return 'other'
    const times = count === -1 ? 1 : Number(cells[count])
    return readOf(cells[key.at], timeIn(time.name as string, cells[time.at]), times, keyOf)
  }
}

/** Common log format, and the combined one: `host ident user [date] "GET /path HTTP/1.1" 200 …`. */
export function commonLogParser({ keyOf }: { keyOf: KeyOfPath }): LineParser {
  return (line) => {
    const [, date, request, status] = COMMON.exec(line) ?? []
    const atMs = timeOf(date)
    if (request === undefined || atMs === null) return 'bad'
    const [, method, target] = /^([A-Z]+) (\S+)(?: HTTP\/[\d.]+)?$/.exec(request) ?? []
    // Noise of scanners, as servers note it.
    if (method === undefined || !isRead(method, status)) return 'other'
    return readOf(target, atMs, 1, keyOf)
  }
}

function fieldsOf(keyField: string | undefined, keyOf: KeyOfPath | undefined): readonly string[] {
  return keyField !== undefined ? [keyField] : keyOf === undefined ? ['key'] : PATH_FIELDS
}

function timeIn(name: string, value: unknown): number | null {
  return /(_|^)ms$/i.test(name) ? msOf(value) : timeOf(value)
}

/** Only what asked for something, and got it. What is not told counts. */
function isRead(method: unknown, status: unknown): boolean {
  if (method !== undefined && !/^(GET|HEAD)$/i.test(String(method))) return false
  return status === undefined || Number(status) < 400
}

function readOf(given: unknown, atMs: number | null, count: unknown, keyOf: KeyOfPath | undefined): Line {
  const text = typeof given === 'number' ? String(given) : given
  const times = Number(count)
  if (typeof text !== 'string' || text === '' || atMs === null) return 'bad'
  if (!Number.isSafeInteger(times) || times < 1) return 'bad'
  const key = keyOf === undefined ? text : keyOf(text)
  if (key === null) return 'other'
  return key.length > MAX_KEY_LENGTH ? 'bad' : { key, atMs, count: times }
}

function listed(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(' or ')
}
