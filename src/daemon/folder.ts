import { chmodSync, lstatSync, mkdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { PrewarmError } from '../errors.ts'

/** Where one daemon's files lie; only its user may look into the folder. */
export interface DaemonFiles {
  name: string
  folder: string
  /** Who the daemon is. It holds this file as long as it lives. */
  pid: string
  /** Held by a `start` while it is under way. */
  lock: string
  socket: string
  /** How it was started, without secrets. */
  start: string
}

const NAME = /^[A-Za-z0-9][\w.-]{0,31}$/
/** What a socket's address has room for, on Linux (108) and macOS (104), with its final zero. */
const LONGEST_SOCKET = 103

/**
 * Makes and checks `$XDG_RUNTIME_DIR/prewarm/<name>`, or `/tmp/prewarm-<uid>/<name>` where that is not set.
 *
 * @throws {PrewarmError} `USAGE` for a bad name, `DAEMON_FAILED` for a folder that others could change or that is none
 */
export function daemonFiles(env: Readonly<Record<string, string | undefined>>, name: string): DaemonFiles {
  checkName(name)
  const uid = process.getuid?.()
  if (uid === undefined) throw failed('The daemon needs Unix: run `prewarm serve` under a service manager instead')
  const runtime = env.XDG_RUNTIME_DIR || undefined
  if (runtime !== undefined) checkRuntimeFolder(runtime, uid)
  const base = runtime === undefined ? `/tmp/prewarm-${uid}` : join(runtime, 'prewarm')
  const folder = join(base, name)
  for (const path of [base, folder]) makePrivate(path, uid)
  const socket = join(folder, 'control.sock')
  if (Buffer.byteLength(socket) > LONGEST_SOCKET) {
    throw failed(`${socket} is too long for a socket: set XDG_RUNTIME_DIR to a shorter path`)
  }
  return {
    name,
    folder,
    pid: join(folder, 'daemon.pid'),
    lock: join(folder, 'start.lock'),
    socket,
    start: join(folder, 'start.json'),
  }
}

/** @throws {PrewarmError} `USAGE` */
export function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new PrewarmError('USAGE', `--name is '${name}', expected up to 32 letters, digits, '-', '_' and '.'`)
}

/** Whoever owns the folder above could exchange ours. */
function checkRuntimeFolder(path: string, uid: number): void {
  const stats = statsOf(() => statSync(path))
  const fix = 'set XDG_RUNTIME_DIR to a folder of your own, or unset it'
  if (stats === undefined || !stats.isDirectory())
    throw failed(`XDG_RUNTIME_DIR is '${path}', which is no folder: ${fix}`)
  if (stats.uid !== uid) {
    throw failed(`XDG_RUNTIME_DIR is '${path}', which belongs to user ${stats.uid}, and you are ${uid}: ${fix}`)
  }
}

function makePrivate(path: string, uid: number): void {
  try {
    mkdirSync(path, { mode: 0o700 })
    chmodSync(path, 0o700) // whatever the umask
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') {
      throw failed(`Cannot make ${path}: ${(error as Error).message}`, error)
    }
  }
  const stats = statsOf(() => lstatSync(path))
  if (stats === undefined || !stats.isDirectory()) throw failed(`${path} is no folder (or a link to one): remove it`)
  if (stats.uid !== uid) throw failed(`${path} belongs to user ${stats.uid}, and you are ${uid}: set XDG_RUNTIME_DIR`)
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
    throw failed(`${path} has mode ${mode}, which lets others in: look at what is in it, then chmod 700`)
  }
}

/**
 * Whoever may write where the log lies could put a link in its place, and have another file of this user emptied.
 *
 * @throws {PrewarmError} `DAEMON_FAILED`
 */
export function checkLogFolder(path: string): void {
  const uid = process.getuid?.()
  const stats = statsOf(() => statSync(path))
  const fix = 'set XDG_STATE_HOME to a folder of your own'
  if (stats === undefined || !stats.isDirectory()) throw failed(`${path}, where the log goes, is no folder: ${fix}`)
  if (stats.uid !== uid) {
    throw failed(`${path}, where the log goes, belongs to user ${stats.uid}, and you are ${uid}: ${fix}`)
  }
  if ((stats.mode & 0o022) !== 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
    throw failed(`${path} has mode ${mode}, so that others could exchange the log: chmod 700 it, or ${fix}`)
  }
}

function statsOf(look: () => Stats): Stats | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

function failed(message: string, cause?: unknown): PrewarmError {
  return new PrewarmError('DAEMON_FAILED', message, { cause })
}
