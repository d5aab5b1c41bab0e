import { find, sweep } from './find.ts'
import type { DaemonFiles } from './folder.ts'
import { ended, signal } from './process.ts'

/** Beyond its own drain and the 5 s that it may take to end what it has open, ms. */
const MARGIN_MS = 7000
const KILL_TIMEOUT_MS = 5000

export type StopOutcome =
  | { state: 'not running' }
  | { state: 'stopped'; pid: number }
  /** It did not end within `waitedMs`, and was killed: jobs that ran were cut off. */
  | { state: 'killed'; pid: number; waitedMs: number }

/** Asks a daemon to end (SIGTERM), waits as long as it may drain, then kills it. What it left is removed. */
export async function stopDaemon(files: DaemonFiles): Promise<StopOutcome> {
  const found = await find(files)
  if (found.state === 'none') return { state: 'not running' }
  const { owner } = found
  if (found.state === 'dead') {
    sweep(files, owner)
    return { state: 'not running' }
  }
  const outcome = await endProcess(owner, owner.drainMs + MARGIN_MS)
  sweep(files, owner)
  return outcome
}

/** SIGTERM, and after `waitMs` SIGKILL. */
export async function endProcess(
  owner: { pid: number; stamp: string },
  waitMs: number,
): Promise<Exclude<StopOutcome, { state: 'not running' }>> {
  const { pid } = owner
  signal(owner, 'SIGTERM')
  if (await ended(owner, waitMs)) return { state: 'stopped', pid }
  signal(owner, 'SIGKILL')
  await ended(owner, KILL_TIMEOUT_MS)
  return { state: 'killed', pid, waitedMs: waitMs }
}
