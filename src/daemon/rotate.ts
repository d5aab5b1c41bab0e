import {
  appendFileSync,
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs'

export interface LogLimits {
  /** A file is put aside when it is larger, bytes. @default 10_000_000 */
  maxBytes: number
  /** Files that were put aside and are kept: `<file>.1`, the newest, to `<file>.<files>`. @default 5 */
  files: number
}

export const LOG_LIMITS: LogLimits = { maxBytes: 10_000_000, files: 5 }
/** How often the size is looked at besides after each line of ours: workers write for themselves. */
const EVERY_MS = 1000

/**
 * Keeps the log that this program's stdout and stderr go to within bounds. The file is copied aside and emptied rather than
 * renamed, because workers, child processes and a crash write straight to the descriptor they were given at the start. What
 * another thread writes in the microseconds between the last copied byte and the emptying is lost.
 */
export class LogRotation {
  readonly #file: string
  readonly #limits: LogLimits
  readonly #descriptor: number
  readonly #timer: ReturnType<typeof setInterval>

  constructor(file: string, limits: LogLimits) {
    this.#file = file
    this.#limits = limits
    this.#descriptor = openSync(file, 'a+', 0o600)
    this.#timer = setInterval(() => this.check(), EVERY_MS)
    this.#timer.unref()
  }

  /** Puts the file aside if it is too large. Never throws. */
  check(): void {
    try {
      if (fstatSync(this.#descriptor).size > this.#limits.maxBytes) this.#rotate()
    } catch {
      // A log that can't be looked at is no reason to end.
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    closeSync(this.#descriptor)
  }

  #rotate(): void {
    // A draft, so that '.1' appears when it is whole and the log is empty: followers go by that.
    const draft = `${this.#file}.0`
    try {
      copyFileSync(this.#file, draft)
      this.#copyRest(draft)
    } finally {
      // Also when there is no room for a copy: on a full disk a log that goes on growing is worse than one that is lost.
      ftruncateSync(this.#descriptor, 0)
    }
    for (let n = this.#limits.files - 1; n >= 0; n--) {
      try {
        renameSync(`${this.#file}.${n}`, `${this.#file}.${n + 1}`)
      } catch {
        // there are not so many yet
      }
    }
  }

  /** What was written while the copy was made. */
  #copyRest(draft: string): void {
    const from = statSync(draft).size
    const size = fstatSync(this.#descriptor).size
    if (size <= from) return
    const rest = Buffer.alloc(size - from)
    const read = readSync(this.#descriptor, rest, 0, rest.length, from)
    appendFileSync(draft, rest.subarray(0, read))
  }
}
