import type { Io } from './io.ts'

const EVERY_MS = 1000

/** Says how far it is, at most once a second: `say` is asked for the line only then. */
export function slowly(io: Io, nowMs: () => number): (say: () => string) => void {
  let lastMs = nowMs()
  return (say) => {
    if (nowMs() - lastMs < EVERY_MS) return
    lastMs = nowMs()
    if (io.isLive) io.live([say().slice(0, io.columns - 1)])
    else io.note(say())
  }
}
