import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'

const FOLLOW_EVERY_MS = 200

/** The last `count` lines of a log and of what was put aside from it, oldest first. Empty if there is none. */
export function lastLines(file: string, count: number): string[] {
  let lines: string[] = []
  for (let n = 0; lines.length < count; n++) {
    const path = n === 0 ? file : `${file}.${n}`
    if (!existsSync(path)) {
      if (n > 0) break
      continue
    }
    lines = [...linesOf(readFileSync(path, 'utf8')), ...lines]
  }
  return lines.slice(-count)
}

/** What was written to the log from byte `from` on; all of it if it was put aside since. */
export function linesSince(file: string, from: number): string[] {
  if (!existsSync(file)) return []
  const bytes = readFileSync(file)
  return linesOf(bytes.subarray(bytes.length < from ? 0 : from).toString('utf8'))
}

/** Bytes in the log; 0 if it is not there. */
export function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0
}

/** Hands on what is written to the log from byte `from` on, also across its being put aside, until `signal` aborts. */
export async function follow(
  file: string,
  from: number,
  write: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const aside = `${file}.1`
  let at = from
  let mark = markOf(aside)
  while (!signal.aborted) {
    const bytes = readFrom(file, at)
    const now = markOf(aside)
    if (now !== mark) {
      // Put aside meanwhile: first the end of that, then the new one from its beginning.
      mark = now
      write(readFrom(aside, at))
      at = 0
      continue
    }
    if (bytes.length > 0) write(bytes)
    at += bytes.length
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, FOLLOW_EVERY_MS)
      function done() {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
    })
  }
}

/** A file's bytes from `at` to its end; none if it is not there. */
function readFrom(file: string, at: number): Uint8Array {
  if (!existsSync(file)) return Buffer.alloc(0)
  const descriptor = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - at))
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, at))
  } finally {
    closeSync(descriptor)
  }
}

/** What tells a file from another that takes its place; null if there is none. */
function markOf(file: string): string | null {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.ino}:${stats.birthtimeMs}`
}

function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
