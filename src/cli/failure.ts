import process from 'node:process'
import { CommanderError } from 'commander'
import { type ErrorCode, type Failure, redact, toFailure } from '../errors.ts'
import type { FinalStatus } from '../types.ts'
import type { Io } from './io.ts'

/** What the program's exit code means. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const

const CODES: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  CONFIG_NOT_FOUND: EXIT.usage,
  TASK_UNKNOWN: EXIT.usage,
  PARAM_INVALID: EXIT.usage,
  WORKERS_NEED_CONFIG_FILE: EXIT.usage,
  MODEL_INVALID: EXIT.usage,
  EMBEDDED_MISSING: EXIT.usage,
  STORE_UNREACHABLE: EXIT.unreachable,
  ORIGIN_UNREACHABLE: EXIT.unreachable,
  JOB_CANCELLED: EXIT.interrupted,
}

/** The exit code of a job that ended by itself. */
export function exitCodeOf(status: FinalStatus): number {
  return status === 'success' || status === 'skipped' ? EXIT.ok : EXIT.failed
}

/** Tells what went wrong, on stderr, and with `json` as the one object on stdout. Resolves to the exit code. */
export async function tell(error: unknown, io: Io, json: boolean): Promise<number> {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
  const isUsage = error instanceof CommanderError
  const failure: Failure = isUsage ? { code: 'USAGE', message: usageMessage(error) } : toFailure(error)
  const message = redact(failure.message)
  const exitCode = CODES[failure.code] ?? EXIT.failed
  // Commander has already said what it thinks of the arguments.
  if (!isUsage) {
    const lines = message.split('\n').filter((line) => line.trim() !== '')
    const isList = failure.code === 'CONFIG_INVALID'
    for (const line of isList ? lines : lines.slice(0, 1)) io.note(`error: ${line}`)
  }
  if (process.env.PREWARM_DEBUG === '1' && error instanceof Error) io.note(error.stack ?? '')
  if (json) await io.answer(JSON.stringify({ error: { code: failure.code, message } }))
  return exitCode
}

function usageMessage({ message }: CommanderError): string {
  const text = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
  return text === '(outputHelp)' ? 'no command is given' : text
}
