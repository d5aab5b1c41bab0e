import process from 'node:process'
import { redact } from '../errors.ts'

/** Where a command's words go: stdout for its answer alone, stderr for everything else. */
export interface Io {
  /** stderr is a terminal, so lines can be redrawn. */
  readonly isLive: boolean
  readonly columns: number
  /** Writes the answer; resolves when it has left the program. */
  answer(text: string): Promise<void>
  /** One line for people, above the live lines. URLs' passwords are masked. */
  note(line: string): void
  /** Replaces the live lines; none: takes them away. */
  live(lines: readonly string[]): void
  /** Colour for stdout; text as it is where colours are unwanted. */
  paint(colour: Colour, text: string): string
}

export type Colour = 'green' | 'yellow' | 'red' | 'bold'

const CODES = { green: 32, yellow: 33, red: 31, bold: 1 }

/** The program's own stdout and stderr. */
export function processIo(): Io {
  const { stdout, stderr, env } = process
  // A reader that went away (`| head`) is no error of ours.
  for (const stream of [stdout, stderr]) stream.on('error', () => {})
  const isPlain = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb' || !stdout.isTTY
  let shown: readonly string[] = []
  const erased = () => (shown.length === 0 ? '' : `\x1b[${shown.length}A\x1b[0J`)
  const lines = (all: readonly string[]) => all.map((line) => `${line}\n`).join('')
  return {
    isLive: stderr.isTTY === true && env.TERM !== 'dumb',
    get columns() {
      return stderr.columns || 80
    },
    answer: (text) =>
      new Promise((resolve) => {
        stdout.write(text.endsWith('\n') ? text : `${text}\n`, () => resolve())
      }),
    note(line) {
      stderr.write(`${erased()}${redact(line)}\n${lines(shown)}`)
    },
    live(next) {
      stderr.write(erased() + lines(next))
      shown = next
    },
    paint: (colour, text) => (isPlain ? text : `\x1b[${CODES[colour]}m${text}\x1b[0m`),
  }
}
