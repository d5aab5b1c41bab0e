import { showMs } from '../config/duration.ts'
import type { JobHandle } from '../job/job.ts'
import type { JobResult, TaskProgress } from '../types.ts'
import type { Io } from './io.ts'

const PLAIN_EVERY_MS = 1000
const LIVE_EVERY_MS = 100

/** All tasks together: `Progress: 400/856 (47%) - Failed: 0`; `~` before a total that is guessed, none where it is not known. */
export function progressLine(tasks: readonly TaskProgress[]): string {
  const sum = (field: 'done' | 'total' | 'failed') => tasks.reduce((all, task) => all + (task[field] ?? 0), 0)
  const isKnown = tasks.every((task) => task.total !== null)
  return line(
    sum('done'),
    isKnown ? sum('total') : null,
    tasks.some((task) => task.estimated),
    sum('failed'),
  )
}

/** The last line: what the job has come to. */
export function lastLine({ keys }: JobResult): string {
  return line(keys.planned, keys.planned, false, keys.failed)
}

function line(done: number, total: number | null, isGuess: boolean, failed: number): string {
  const of = total === null ? '' : `/${isGuess ? '~' : ''}${total} (${percentOf(done, total)}%)`
  return `Progress: ${done}${of} - Failed: ${failed}`
}

function percentOf(done: number, total: number): number {
  if (done >= total) return 100
  return Math.min(99, Math.round((done / total) * 100))
}

/** One line a task, no longer than the terminal is wide. */
export function liveLines(tasks: readonly TaskProgress[], columns: number): string[] {
  const width = Math.max(0, ...tasks.map(({ task }) => task.length))
  return tasks.map((task) => {
    const { done, total, estimated, failed, keysPerSecond, finished } = task
    const of = total === null ? '' : `/${estimated ? '~' : ''}${total} ${percentOf(done, total)}%`
    const left = total === null || keysPerSecond === 0 ? null : ((total - done) / keysPerSecond) * 1000
    const end = finished ? 'done' : left === null ? 'ETA ?' : `ETA ${showMs(left)}`
    return [task.task.padEnd(width), `${done}${of}`, `${Math.round(keysPerSecond)} keys/s`, `failed ${failed}`, end]
      .join('  ')
      .slice(0, columns - 1)
  })
}

/** Shows how far a job is until it has ended; the function it returns says the last word. */
export function showProgress(handle: JobHandle, io: Io): (result: JobResult) => void {
  if (io.isLive) {
    const timer = setInterval(() => io.live(liveLines(handle.progress(), io.columns)), LIVE_EVERY_MS)
    return () => {
      clearInterval(timer)
      io.live([])
    }
  }
  let last = ''
  const timer = setInterval(() => {
    const next = progressLine(handle.progress())
    if (next !== last) io.note(next)
    last = next
  }, PLAIN_EVERY_MS)
  return (result) => {
    clearInterval(timer)
    io.note(lastLine(result))
  }
}
