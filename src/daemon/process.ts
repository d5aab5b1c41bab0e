import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'

/**
 * What tells a process from another that later has the same pid: the boot it belongs to, and when in it it began.
 * Null if there is no such process, or it has ended and only waits to be reaped.
 */
export function stampOf(pid: number): string | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null
  if (process.platform !== 'linux') return stampByPs(pid)
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the program's name, is in brackets and may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state = '', startTicks = ''] = [fields[0], fields[19]]
    return state === 'Z' || state === 'X' ? null : `${bootId()}:${startTicks}`
  } catch {
    return null
  }
}

/** The process that bears `stamp` still runs. */
export function isRunning({ pid, stamp }: { pid: number; stamp: string }): boolean {
  return stampOf(pid) === stamp
}

/** Sends a signal to the process that bears `stamp`, and to no other that has its pid now. False: it is gone. */
export function signal(owner: { pid: number; stamp: string }, name: 'SIGTERM' | 'SIGKILL' | 'SIGHUP'): boolean {
  if (!isRunning(owner)) return false
  try {
    process.kill(owner.pid, name)
    return true
  } catch {
    return false
  }
}

/** Resolves when the process is gone: true; or after `timeoutMs`: false. */
export async function ended(owner: { pid: number; stamp: string }, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs
  while (isRunning(owner)) {
    if (performance.now() >= end) return false
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return true
}

let boot: string | undefined

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return boot
}

function stampByPs(pid: number): string | null {
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', env })
  const [state = '', ...start] = (stdout ?? '').trim().split(/\s+/)
  return status !== 0 || state === '' || state.startsWith('Z') ? null : start.join(' ')
}
