import { PrewarmError, redact } from '../errors.ts'

/** A line that could not be read. */
export interface BadLine {
  file: string
  /** From 1. */
  line: number
  /** Its beginning, without secrets. */
  text: string
}

/** After so many lines it is known what a file is. */
const ENOUGH = 10_000
const SHOWN = 80
const SECRET =
  /((?:token|secret|passw\w*|pwd|auth\w*|cookie|session\w*|api[-_]?key|signature)["']?\s*[=:]\s*)("[^"]*"?|[^\s"'&,;}]+)/gi

/** Counts lines, and those that could not be read. */
export class BadLines {
  lines = 0
  bad = 0
  first: BadLine | null = null

  /** @throws {PrewarmError} `LOG_INVALID` once it is clear that this is no log of that format */
  add(file: string, line: number, text: string): void {
    this.bad++
    this.first ??= { file, line, text: shownLine(text) }
    if (this.lines >= ENOUGH) this.judge()
  }

  /** @throws {PrewarmError} `LOG_INVALID` if more than half of the lines could not be read */
  judge(): void {
    const { lines, bad, first } = this
    if (first === null || 2 * bad <= lines) return
    throw logInvalid(
      first,
      `${bad} of ${lines} lines can't be read, the first is: ${first.text}: see which format they have, and name the fields with --key-field and --time-field`,
    )
  }
}

/** What is wrong with a log, and where. */
export function logInvalid({ file, line }: { file: string; line?: number }, what: string): PrewarmError {
  return new PrewarmError('LOG_INVALID', `${file}${line === undefined ? '' : `:${line}`}: ${what}`)
}

/** The beginning of a line as it may be shown: no query, nothing that looks like a secret, no control characters. */
export function shownLine(text: string): string {
  const safe = redact(text.slice(0, 1000))
    .replace(/\?[^\s"]*/g, '?…')
    .replace(SECRET, '$1***')
    .replace(/[\u0000-\u001f\u007f]/g, ' ')
  return safe.length > SHOWN ? `${safe.slice(0, SHOWN)}…` : safe
}
