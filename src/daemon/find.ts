import { existsSync, rmSync } from 'node:fs'
import { ask } from './ask.ts'
import { type Owner, readOwner } from './claim.ts'
import type { Identity } from './control.ts'
import type { DaemonFiles } from './folder.ts'
import { isRunning, stampOf } from './process.ts'

/** What the pid file holds. */
export interface DaemonOwner extends Owner {
  startedAt: string
  drainMs: number
  log: string
}

export type Found =
  | { state: 'running'; owner: DaemonOwner }
  /** A pid file is there, and its process is not: killed, or the machine was. */
  | { state: 'dead'; owner: DaemonOwner }
  | { state: 'none' }

/** Looks for a daemon: by its pid file, and where that is lost by its socket. */
export async function find(files: DaemonFiles): Promise<Found> {
  const owner = readOwner<DaemonOwner>(files.pid)
  if (owner !== null && isRunning(owner)) return { state: 'running', owner }
  const identity = existsSync(files.socket) ? await ask<Identity>(files.socket, 'GET', '/identity') : null
  if (identity !== null) {
    const { pid, startedAt, drainMs, log } = identity
    const stamp = stampOf(pid)
    if (stamp !== null) return { state: 'running', owner: { pid, stamp, startedAt, drainMs, log } }
  }
  return owner === null ? { state: 'none' } : { state: 'dead', owner }
}

/** Removes what a dead daemon left. */
export function sweep(files: DaemonFiles, owner: Owner): void {
  const now = readOwner(files.pid)
  if (now !== null && (now.pid !== owner.pid || now.stamp !== owner.stamp)) return
  for (const file of [files.pid, files.socket]) rmSync(file, { force: true })
}
