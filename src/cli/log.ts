import { configureSync, getTextFormatter, type LogRecord } from '@logtape/logtape'
import type { Io } from './io.ts'

/** Sends the library's log to stderr: warnings and worse, or with `verbose` also what is usual. */
export function configureLog(io: Io, verbose: boolean): void {
  const format = getTextFormatter({
    timestamp: 'none',
    level: 'full',
    value: 'bare',
    format: ({ level, message }) => `${level}: ${message}`,
  })
  const lowestLevel = verbose ? 'info' : 'warning'
  configureSync({
    reset: true,
    sinks: { stderr: (record) => io.note(format(record).trimEnd() + trace(record)) },
    loggers: [
      { category: ['prewarm'], lowestLevel, sinks: ['stderr'] },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['stderr'] },
    ],
  })
}

function trace({ properties }: LogRecord): string {
  return typeof properties.traceId === 'string' ? ` (trace ${properties.traceId})` : ''
}
