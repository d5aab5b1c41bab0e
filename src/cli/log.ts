import { configureSync, getTextFormatter, type LogRecord } from '@logtape/logtape'
import type { Io } from './io.ts'
import { jsonLine } from './log-line.ts'

export interface LogOptions {
  /** Also what is usual, not only warnings and worse. @default false */
  verbose?: boolean
  /** `json`: one object a line, `{ time, level, logger, message, trace_id, job_id, … }`. @default 'text' */
  format?: 'text' | 'json'
}

/** Sends the library's log to stderr: warnings and worse, or with `verbose` also what is usual. */
export function configureLog(io: Io, options: boolean | LogOptions): void {
  const { verbose = false, format = 'text' } = typeof options === 'boolean' ? { verbose: options } : options
  const lineOf = format === 'json' ? jsonLine : textLine
  const lowestLevel = verbose ? 'info' : 'warning'
  configureSync({
    reset: true,
    sinks: { stderr: (record) => io.note(lineOf(record)) },
    loggers: [
      { category: ['prewarm'], lowestLevel, sinks: ['stderr'] },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['stderr'] },
    ],
  })
}

const text = getTextFormatter({
  timestamp: 'none',
  level: 'full',
  value: 'bare',
  format: ({ level, message }) => `${level}: ${message}`,
})

function textLine(record: LogRecord): string {
  const { traceId } = record.properties
  return text(record).trimEnd() + (typeof traceId === 'string' ? ` (trace ${traceId})` : '')
}
