import type { LogRecord } from '@logtape/logtape'
import type { Io } from './io.ts'
import { configureLog, type LogOptions } from './log.ts'
import { jsonLine } from './log-line.ts'

const LEVEL = /^(error|warning|notice|info): /

/**
 * From now on everything said on stderr, also by `tell` at the end, is a line of the program's log: one JSON object, or text.
 * Returns what sends the library's own log there; call it again where somebody else has configured that.
 *
 * @param options `dated`: text begins with the time; `onLine` is called after each line
 */
export function logThrough(
  io: Io,
  {
    format,
    dated = false,
    onLine = () => {},
  }: { format: NonNullable<LogOptions['format']>; dated?: boolean; onLine?: () => void },
): () => void {
  const write = io.note
  const raw = (line: string) => {
    write(format === 'text' && dated ? `${new Date().toISOString()} ${line}` : line)
    onLine()
  }
  io.note = format === 'json' ? (line) => raw(jsonLine(recordOf(line))) : raw
  const log: Io = { ...io, note: raw }
  return () => configureLog(log, { verbose: true, format })
}

/** A line for people as a record: `warning: …` is one of that level. */
function recordOf(line: string): LogRecord {
  const [prefix = '', word] = LEVEL.exec(line) ?? []
  const text = line.slice(prefix.length)
  return {
    category: ['prewarm'],
    level: word === 'error' || word === 'warning' ? word : 'info',
    message: [text],
    rawMessage: text,
    timestamp: Date.now(),
    properties: {},
  }
}
